// Charges of atoms and their Coulomb energy U. The engine computes outputs of atoms, from which the charges
// follow; U and its derivatives follow from the charges of all ranks; the engine takes dU/d(outputs) and adds the
// response of the charges to the forces.

#include <cstring>

#include "atom.h"
#include "domain.h"
#include "error.h"
#include "pair_reann.h"

using namespace LAMMPS_NS;

bool PairReann::has_coulomb() const { return model_ && reann_smearing(model_) > 0.0; }

void PairReann::check_charges() const {
    if (charge_is_stated_ && reann_head_width(model_, "charges") != 1)
        error->all(FLERR, "pair_style reann: `charge` is the total charge of a potential with charges, and this "
                          "one has none: remove it");
    const int *periodic = domain->periodicity;
    if (has_coulomb() && (periodic[0] != periodic[1] || periodic[1] != periodic[2]))
        error->all(FLERR, "pair_style reann: the Coulomb energy of this potential needs periodic boundaries in all "
                          "directions or in none: for a slab, use `boundary p p p` with a vacuum of two times its "
                          "thickness");
}

// Energies and outputs of the atoms of this rank for one member, without U.
void PairReann::begin(int member) {
    outputs_.resize(n_local_ * reann_n_outputs(model_) + 1);
    const reann_system system = rows();
    reann_error why;
    if (!reann_forward(model_, member, workspace_, &system, energies_.data(), outputs_.data(), &why))
        error->one(FLERR, "pair_style reann: {}", why.message);
}

// Adds U to the energies, and computes `result` with U.
void PairReann::finish(int member, reann_result result) {
    const int64_t n = n_local_;
    const std::vector<double> q = charges_of(member);
    const reann::Charges charges = {n, position_.data(), q.data()};
    const reann::CoulombSlopes slopes = coulomb_slopes(charges);
    double sums[2] = {double(n), 0.0}, all[2]; // atoms, and derivatives of U with respect to their charges
    for (int64_t r = 0; r < n; ++r) sums[1] += slopes.by_charge[r];
    MPI_Allreduce(sums, all, 2, MPI_DOUBLE, MPI_SUM, world);
    std::vector<double> by_charge(n + 1), by_output(outputs_.size());
    for (int64_t r = 0; r < n; ++r) by_charge[r] = slopes.by_charge[r] - all[1] / all[0];
    reann_error why;
    if (!reann_head_adjoint(model_, member, "charges", n, by_charge.data(), by_output.data(), &why) ||
        !reann_adjoint(workspace_, nullptr, by_output.data(), &result, &why))
        error->one(FLERR, "pair_style reann: {}", why.message);
    for (int64_t r = 0; r < n; ++r) {
        const double energy = 0.5 * q[r] * slopes.by_charge[r];
        energies_[r] += energy;
        coulomb_energy_ += energy;
        charge_[atom_[r]] += q[r] / reann_n_members(model_);
        for (int a = 0; a < 3; ++a) forces_[3 * r + a] -= slopes.by_position[3 * r + a];
    }
    for (int k = 0; k < 9 && result.virial; ++k) result.virial[k] += slopes.by_strain[k];
}

// The values (n_local, width) of a head for the atoms of this rank.
std::vector<double> PairReann::values_of(int member, const char *name, int width) const {
    std::vector<double> values(width * n_local_ + 1);
    reann_error why;
    if (!reann_head_values(model_, member, name, n_local_, element_.data(), outputs_.data(), values.data(), &why))
        error->one(FLERR, "pair_style reann: {}", why.message);
    return values;
}

// Charges whose sum over all ranks is the total charge: each has an equal part of the difference.
std::vector<double> PairReann::charges_of(int member) const {
    std::vector<double> q = values_of(member, "charges", 1);
    double sums[2] = {double(n_local_), 0.0}, all[2]; // atoms, and charges before the correction
    for (int64_t r = 0; r < n_local_; ++r) sums[1] += q[r];
    MPI_Allreduce(sums, all, 2, MPI_DOUBLE, MPI_SUM, world);
    for (int64_t r = 0; r < n_local_; ++r) q[r] += (total_charge_ - all[1]) / all[0];
    return q;
}

reann::CoulombSlopes PairReann::coulomb_slopes(const reann::Charges &charges) {
    const double sigma = reann_smearing(model_);
    if (!domain->periodicity[0]) return reann::slopes_of_pairs(world, sigma, charges);
    if (!mesh_) mesh_ = std::make_unique<reann::Mesh>(world, sigma);
    const double *h = domain->h; // xx yy zz yz xz xy
    const double cell[9] = {h[0], 0.0, 0.0, h[5], h[1], 0.0, h[4], h[3], h[2]};
    return mesh_->slopes(cell, charges);
}
