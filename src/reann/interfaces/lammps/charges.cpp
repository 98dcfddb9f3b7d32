// Charges of atoms and their Coulomb energy U. The engine computes outputs of atoms, from which the charges of all
// ranks follow, and from these U and its derivatives; the engine takes the derivatives with respect to the outputs
// and adds the response of the charges to the forces.

#include <exception>

#include "atom.h"
#include "domain.h"
#include "equilibrium.h"
#include "error.h"
#include "mesh.h"
#include "pair_reann.h"
#include "pairs.h"

using namespace LAMMPS_NS;

bool PairReann::has_coulomb() const { return model_ && reann_smearing(model_) > 0.0; }

bool PairReann::is_equilibrated() const { return reann_hardness(model_, 0, 0) > 0.0; }

bool PairReann::has_charges() const { return reann_head_width(model_, "charges") == 1 || is_equilibrated(); }

void PairReann::check_charges() const {
    if (charge_is_stated_ && !has_charges())
        error->all(FLERR, "pair_style reann: `charge` is the total charge of a potential with charges, and this "
                          "one has none: remove it");
    const int *periodic = domain->periodicity;
    if (has_coulomb() && (periodic[0] != periodic[1] || periodic[1] != periodic[2]))
        error->all(FLERR, "pair_style reann: the Coulomb energy of this potential needs periodic boundaries in all "
                          "directions or in none: for a slab, use `boundary p p p` with a vacuum of two times its "
                          "thickness");
}

// The values (n_local, width) of a head for the atoms of this rank.
std::vector<double> PairReann::values_of(int member, const char *name, int width) const {
    std::vector<double> values(width * n_local_ + 1);
    reann_error why;
    if (!reann_head_values(model_, member, name, n_local_, element_.data(), outputs_.data(), values.data(), &why))
        error->one(FLERR, "pair_style reann: {}", why.message);
    values.pop_back();
    return values;
}

// The interactions of charges at the present positions.
void PairReann::place_charges() {
    const double sigma = reann_smearing(model_);
    if (!domain->periodicity[0]) {
        interactions_ = std::make_unique<reann::Pairs>(world, sigma, n_local_, position_.data());
        return;
    }
    auto *mesh = dynamic_cast<reann::Mesh *>(interactions_.get());
    if (!mesh) interactions_.reset(mesh = new reann::Mesh(world, sigma));
    const double *h = domain->h; // xx yy zz yz xz xy
    const double cell[9] = {h[0], 0.0, 0.0, h[5], h[1], 0.0, h[4], h[3], h[2]};
    mesh->place(cell, n_local_, position_.data());
}

// Energies and outputs of the atoms of this rank for one member, without U.
void PairReann::begin(int member) {
    outputs_.resize(n_local_ * reann_n_outputs(model_) + 1);
    const reann_system system = rows();
    reann_error why;
    if (!reann_forward(model_, member, workspace_, &system, energies_.data(), outputs_.data(), &why))
        error->one(FLERR, "pair_style reann: {}", why.message);
}

// Charges whose sum over all ranks is the total charge: each latent charge has an equal part of the difference.
void PairReann::take_charges(int member) {
    if (is_equilibrated()) {
        std::vector<double> hardness;
        for (int64_t r = 0; r < n_local_; ++r) hardness.push_back(reann_hardness(model_, member, element_[r]));
        const std::vector<double> chi = values_of(member, "electronegativities", 1);
        try {
            q_ = reann::equilibrated(world, *interactions_, reann_smearing(model_), chi, hardness, total_charge_);
        } catch (const std::exception &problem) {
            error->all(FLERR, "pair_style reann: {}", problem.what());
        }
        return;
    }
    q_ = values_of(member, "charges", 1);
    double charge = 0.0;
    for (double q : q_) charge += q;
    const std::vector<double> sums = reann::sum_of_ranks(world, {double(n_local_), charge});
    for (double &q : q_) q += (total_charge_ - sums[1]) / sums[0];
}

// Adds U to the energies, and computes `result` with U.
void PairReann::finish(int member, reann_result result) {
    const reann::CoulombSlopes slopes = interactions_->slopes(q_);
    std::vector<double> energies(n_local_), seeds(n_local_ + 1), by_output(outputs_.size());
    if (is_equilibrated()) {
        const std::vector<double> chi = values_of(member, "electronegativities", 1);
        for (int64_t r = 0; r < n_local_; ++r) {
            const double h = reann_hardness(model_, member, element_[r]);
            const double J = h + reann::self_potential(reann_smearing(model_));
            energies[r] = chi[r] * q_[r] + 0.5 * J * q_[r] * q_[r];
            seeds[r] = q_[r];
        }
    } else {
        double potential = 0.0;
        for (double V : slopes.by_charge) potential += V;
        const std::vector<double> sums = reann::sum_of_ranks(world, {double(n_local_), potential});
        for (int64_t r = 0; r < n_local_; ++r) seeds[r] = slopes.by_charge[r] - sums[1] / sums[0];
    }
    reann_error why;
    const char *head = is_equilibrated() ? "electronegativities" : "charges";
    if (!reann_head_adjoint(model_, member, head, n_local_, seeds.data(), by_output.data(), &why) ||
        !reann_adjoint(workspace_, nullptr, by_output.data(), &result, &why))
        error->one(FLERR, "pair_style reann: {}", why.message);
    for (int64_t r = 0; r < n_local_; ++r) {
        energies[r] += 0.5 * q_[r] * slopes.by_charge[r];
        energies_[r] += energies[r];
        coulomb_energy_ += energies[r];
        charge_[atom_[r]] += q_[r] / reann_n_members(model_);
        for (int a = 0; a < 3; ++a) forces_[3 * r + a] -= slopes.by_position[3 * r + a];
    }
    for (int k = 0; k < 9 && result.virial; ++k) result.virial[k] += slopes.by_strain[k];
}
