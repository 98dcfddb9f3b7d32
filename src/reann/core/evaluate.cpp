// Quantities that walks (run.hpp) compute: energies and their derivatives, in one call or in two, the
// gradient of a loss of these, and the heat flux. Systems are checked here; the precision is that of the model.

#include "evaluate.hpp"

#include "halfway.hpp"
#include "rates.hpp"

namespace reann {
namespace {

template <class Real> void evaluate_with(Run<Real> run, const reann_result &result) {
    make_sums(run, result);
    make_outputs(run, result.outputs);
    if (result.extrapolation) make_extrapolation(run);
    run.walk();
    give_energies(run, result.energies);
    give_outputs(run, result.outputs);
    give_extrapolation(run, result.extrapolation);
    give_derivatives(run, result);
}

void check_dipole(const Model &model, const double *dipole) {
    if (dipole && !model.settings().field)
        throw Error("The model has no dipole as a derivative of the energy, because it does not depend on an electric field.");
}

void check_exchange(const Model &model, const reann_system &system) {
    if (system.n_atoms > system.n_local && model.settings().n_recursions > 0 &&
        !(system.forward && system.reverse))
        throw Error("Ghost atoms need callbacks that exchange their coefficients.");
}

// Without the Coulomb energy of its charges, the energy of a model is not the sum of those of its atoms.
void check_energy_of_atoms(const Model &model) {
    if (model.settings().smearing > 0.0)
        throw Error("The energy of this model contains the Coulomb energy of its charges, which the caller adds "
                    "between reann_forward and reann_adjoint.");
}

} // namespace

void evaluate(const Model &model, int member, Workspace &workspace, const reann_system &system,
              const reann_result &result) {
    check_energy_of_atoms(model);
    check(model, system);
    check_exchange(model, system);
    const bool derivatives = result.forces || result.virial || result.virials || result.dipole;
    check_dipole(model, result.dipole);
    if (model.settings().float64)
        evaluate_with(Run<double>(model, member, workspace, system, derivatives, nullptr), result);
    else
        evaluate_with(Run<float>(model, member, workspace, system, derivatives, nullptr), result);
}

void forward(const Model &model, int member, Workspace &workspace, const reann_system &system,
             double *energies, double *outputs) {
    check(model, system);
    check_exchange(model, system);
    if (model.settings().float64)
        walk_halfway<double>(model, member, workspace, system, energies, outputs);
    else
        walk_halfway<float>(model, member, workspace, system, energies, outputs);
}

void adjoint(Workspace &workspace, const double *seeds, const double *output_seeds,
             const reann_result &result) {
    if (!workspace.kept)
        throw Error("The workspace has no results of reann_forward: it was used for another evaluation since.");
    std::unique_ptr<Kept> kept = std::move(workspace.kept); // released if this call fails
    kept->adjoint(seeds, output_seeds, result);
    workspace.kept = std::move(kept);
}

void gradient(const Model &model, int member, Workspace &workspace, const reann_system &system,
              const reann_loss &loss, double *const *gradients) {
    check_energy_of_atoms(model);
    check(model, system);
    if (system.n_atoms != system.n_local) throw Error("The gradient needs systems without ghosts.");
    if (!loss.output_slopes != !loss.seeds)
        throw Error("Slopes of outputs need a callback for the derivatives of the outputs, and vice versa.");
    std::vector<double> bar, reference_bar;
    if (model.settings().float64)
        bar = gradient_of(Run<double>(model, member, workspace, system, true, &loss), reference_bar);
    else
        bar = gradient_of(Run<float>(model, member, workspace, system, true, &loss), reference_bar);
    const Folded &folded = model.folded(member);
    folded.unfold(bar, gradients);
    if (double *to = gradients[folded.reference_array])
        for (size_t z = 0; z < reference_bar.size(); ++z) to[z] += reference_bar[z];
}

void curvature_gradient(const Model &model, int member, Workspace &workspace, const reann_system &system,
                        const double *velocity, const double *directions, const double *weights,
                        double *const *gradients) {
    check(model, system);
    check_dipole(model, directions);
    if (system.n_atoms != system.n_local) throw Error("The gradient needs systems without ghosts.");
    const auto bar = model.settings().float64 ? curvature_gradient_of<double> : curvature_gradient_of<float>;
    model.folded(member).unfold(bar(model, member, workspace, system, velocity, directions, weights), gradients);
}

// The sum of two parts: from the virials at the neighbors and their velocities, and through the recursion.
void heat_flux(const Model &model, int member, Workspace &workspace, const reann_system &system,
               const double *velocity, double *energies, double *flux) {
    const int64_t n = system.n_atoms;
    // One more than needed: a rank without atoms must take part in the exchanges as well.
    std::vector<double> virials(9 * n + 1), displaced(3 * n + 1);
    reann_result result = {};
    result.energies = energies;
    result.virials = virials.data();
    evaluate(model, member, workspace, system, result);
    for (int64_t k = 0; k < 3 * n; ++k) displaced[k] = -velocity[k];
    for (int a = 0; a < 3; ++a) {
        flux[a] = 0.0;
        for (int64_t j = 0; j < n; ++j)
            for (int b = 0; b < 3; ++b) flux[a] += virials[9 * j + 3 * a + b] * velocity[3 * j + b];
    }
    const std::vector<double> &free_atom = model.folded(member).reference;
    for (int64_t i = 0; i < system.n_local; ++i) energies[i] -= free_atom[system.element[i]];
    if (model.settings().n_recursions == 0) return;
    reann_loss along = {};
    along.forces = displaced.data();
    if (model.settings().float64)
        add_flux(Run<double>(model, member, workspace, system, true, &along), flux);
    else
        add_flux(Run<float>(model, member, workspace, system, true, &along), flux);
}

void dipole_rate(const Model &model, int member, Workspace &workspace, const reann_system &system,
                 const double *velocity, const double *field_rate, double *dipole, double *rate) {
    check(model, system);
    check_exchange(model, system);
    check_dipole(model, dipole);
    std::vector<double> moved, changed;
    reann_loss along = {};
    along.forces = minus(velocity, 3 * system.n_atoms, moved);
    along.dipole = minus(field_rate, 3 * system.n_systems, changed);
    if (model.settings().float64) {
        Run<double> run(model, member, workspace, system, true, &along);
        give_rates(run, dipole, rate);
    } else {
        Run<float> run(model, member, workspace, system, true, &along);
        give_rates(run, dipole, rate);
    }
}

void responses(const Model &model, int member, Workspace &workspace, const reann_system &system,
               double *dipole, double *polarizability, double *born) {
    check(model, system);
    check_exchange(model, system);
    check_dipole(model, dipole);
    if (model.settings().float64)
        give_responses<double>(model, member, workspace, system, dipole, polarizability, born);
    else
        give_responses<float>(model, member, workspace, system, dipole, polarizability, born);
}

} // namespace reann
