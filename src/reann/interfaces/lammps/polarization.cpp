// Dipoles and polarizabilities: from output heads, or as derivatives of the energy with respect to the
// electric field. They are computed together with the forces in steps in which a compute needs them.

#include <algorithm>
#include <cstring>

#include "atom.h"
#include "compute.h"
#include "domain.h"
#include "error.h"
#include "fix_field.h"
#include "modify.h"
#include "pair_reann.h"
#include "update.h"

using namespace LAMMPS_NS;

namespace {

// xx yy zz xy xz yz
void add_six(const double *matrix, double times, double *six) {
    constexpr int rows[6] = {0, 1, 2, 0, 0, 1}, columns[6] = {0, 1, 2, 1, 2, 2};
    for (int k = 0; k < 6; ++k)
        six[k] += 0.5 * times * (matrix[3 * rows[k] + columns[k]] + matrix[3 * columns[k] + rows[k]]);
}

} // namespace

bool PairReann::is_in_field() const { return !modify->get_fix_by_style("^reann/field$").empty(); }

// The electric field of fix reann/field, or no field without such a fix.
void PairReann::take_field() {
    field_.clear();
    for (const Fix *fix : modify->get_fix_by_style("^reann/field$")) {
        const double *field = static_cast<const FixReannField *>(fix)->field();
        field_.assign(field, field + 3);
    }
}

bool PairReann::knows_field() const { return model_ && reann_knows_field(model_); }

// Whether the potential has a dipole or a polarizability.
bool PairReann::has(const char *name) const {
    if (!model_ || knows_field()) return model_ != nullptr;
    if (!std::strcmp(name, "dipole"))
        return reann_head_width(model_, name) == 3 && has_charges();
    return reann_head_width(model_, name) == 9;
}

// Whether a compute needs the dipole in this step.
bool PairReann::is_polarization_due() const {
    for (Compute *compute : modify->get_compute_by_style("^reann/dipole$"))
        if (compute->matchstep(update->ntimestep)) return true;
    return false;
}

void PairReann::begin_polarization() {
    polarization_ = {};
    polarized_ = update->ntimestep;
    outputs_.resize(n_local_ * reann_n_outputs(model_) + 1);
}

// Memory in which an evaluation stores the contributions to the dipole.
void PairReann::ask_for_polarization(reann_result &result) {
    if (knows_field()) result.dipole = dipole_;
    else result.outputs = outputs_.data();
}

// Adds the contribution of a member to the mean over the ensemble.
void PairReann::add_polarization(int member) {
    const double share = 1.0 / reann_n_members(model_);
    if (knows_field()) {
        for (int a = 0; a < 3; ++a) polarization_.dipole[a] += share * dipole_[a];
        return;
    }
    if (!has_coulomb()) take_charges(member);
    const std::vector<double> dipoles = values_of(member, "dipole", 3);
    double center[3]; // any origin would do
    for (int a = 0; a < 3; ++a) center[a] = 0.5 * (domain->boxlo[a] + domain->boxhi[a]);
    for (int64_t r = 0; r < n_local_; ++r) {
        const int i = atom_[r];
        const double mass = atom->rmass ? atom->rmass[i] : atom->mass[atom->type[i]];
        polarization_.mass += share * mass;
        for (int a = 0; a < 3; ++a) {
            const double x = position_[3 * r + a] - center[a];
            polarization_.charges_at[a] += share * q_[r] * x;
            polarization_.mass_at[a] += share * mass * x;
            polarization_.dipole[a] += share * dipoles[3 * r + a];
        }
    }
    if (!has("polarizability")) return;
    const std::vector<double> each = values_of(member, "polarizability", 9);
    for (int64_t r = 0; r < n_local_; ++r) add_six(&each[9 * r], share, polarization_.polarizability);
}

// The dipole of this rank and, if needed, the polarizability, which takes additional evaluations in a field.
Polarization PairReann::polarization(bool polarizability) {
    require_current("the dipole");
    if (polarized_ != update->ntimestep) {
        begin_polarization();
        for (int m = 0; m < reann_n_members(model_); ++m) {
            reann_result result = {};
            result.energies = energies_.data();
            ask_for_polarization(result);
            if (has_coulomb()) {
                if (m == 0) place_charges();
                begin(m);
                take_charges(m);
            } else {
                evaluate(m, result);
            }
            add_polarization(m);
        }
    }
    Polarization found = polarization_;
    if (!polarizability || !knows_field()) return found;
    const reann_system system = rows();
    for (int m = 0; m < reann_n_members(model_); ++m) {
        double dipole[3], alpha[9];
        reann_error why;
        if (!reann_responses(model_, m, workspace_, &system, dipole, alpha, nullptr, &why))
            error->one(FLERR, "compute reann/dipole: {}", why.message);
        add_six(alpha, reann::coulomb / reann_n_members(model_), found.polarizability);
    }
    return found;
}

// E(F) - E(0) on this rank.
double PairReann::energy_of_field() {
    require_current("the energy of the field");
    double without = 0.0;
    for (int m = 0; m < reann_n_members(model_); ++m) {
        reann_result result = {};
        result.energies = energies_.data();
        evaluate(m, result, false);
        for (int64_t r = 0; r < n_local_; ++r) without += energies_[r];
    }
    return energy_ - unit_ / reann_n_members(model_) * without;
}
