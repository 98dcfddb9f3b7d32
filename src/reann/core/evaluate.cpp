// What is asked of a walk (run.hpp): energies and their derivatives, the gradient of a loss of them,
// the heat flux.

#include "evaluate.hpp"

#include "run.hpp"

namespace reann {
namespace {

void clear(double *p, int64_t n) {
    if (p) std::fill_n(p, n, 0.0);
}

template <class Real> void energies_of(Run<Real> run, const reann_result &result) {
    const reann_system &system = run.system;
    for (Chunk<Real> &chunk : run.chunks) {
        const int64_t n = system.n_atoms;
        chunk.forces = run.work.derivatives ? run.workspace.template take<double>(3 * n) : nullptr;
        chunk.virial = result.virial ? run.workspace.template take<double>(9 * system.n_systems) : nullptr;
        chunk.virials = result.virials ? run.workspace.template take<double>(9 * n) : nullptr;
        clear(chunk.forces, 3 * n);
        clear(chunk.virial, 9 * system.n_systems);
        clear(chunk.virials, 9 * n);
    }
    if (result.extrapolation)
        run.work.extrapolation = run.workspace.template take<double>(system.n_local);
    run.walk();
    const int32_t *caller = run.work.atoms.caller;
    for (int64_t i = 0; i < system.n_local; ++i) {
        result.energies[caller[i]] = run.work.energies[i];
        if (result.extrapolation) result.extrapolation[caller[i]] = run.work.extrapolation[i];
    }
    for (int64_t i = 0; i < system.n_atoms; ++i) {
        if (result.forces) run.add_up(result.forces + 3 * caller[i], 3, &Chunk<Real>::forces, 3 * i);
        if (result.virials)
            run.add_up(result.virials + 9 * caller[i], 9, &Chunk<Real>::virials, 9 * i);
    }
    if (result.virial) run.add_up(result.virial, 9 * system.n_systems, &Chunk<Real>::virial, 0);
}

// Walks with tangents, and leaves the gradient with respect to the folded weights in the chunks.
template <class Real> void walk_with_tangents(Run<Real> &run) {
    for (Chunk<Real> &chunk : run.chunks) {
        chunk.parameters = run.workspace.template take<double>(run.weights.n_parameters);
        clear(chunk.parameters, run.weights.n_parameters);
    }
    run.walk();
}

// The gradient with respect to the folded weights, and that of the reference energies.
template <class Real>
std::vector<double> gradient_of(Run<Real> run, std::vector<double> &reference_bar) {
    const Weights<Real> &weights = run.weights;
    walk_with_tangents(run);
    std::vector<double> bar(weights.n_parameters), count(weights.n_elements);
    run.add_up(bar.data(), weights.n_parameters, &Chunk<Real>::parameters, 0);
    reference_bar.assign(weights.n_elements, 0.0);
    for (int64_t i = 0; i < run.system.n_local; ++i) {
        const int z = run.work.atoms.element[i];
        count[z] += 1.0;
        if (run.loss->energies) reference_bar[z] += run.loss->energies[run.work.atoms.caller[i]];
        for (int k = 0; k < weights.n_radial; ++k)
            bar[weights.coefficients_at + int64_t(z) * weights.stride + k] +=
                run.work.coefficients_bar[i * run.rows_size + weights.stride + k];
    }
    for (int z = 0; z < weights.n_elements; ++z)
        if (count[z] > 0.0)
            run.kernels.gradient_of_nothing(weights, z, run.chunks[0].scratch, count[z],
                                            reference_bar[z], bar.data());
    return bar;
}

// J = -sum_ij r_ij sum_t (dE/dc_ij^(t)) . dc_j^(t) along the tangents, what flows through the
// recursion; for atoms that move by `-loss.forces`.
template <class Real> void add_flux(Run<Real> run, double *flux) {
    Edges<Real> &edges = run.work.edges;
    edges.power = run.workspace.template take<Real>(edges.capacity);
    walk_with_tangents(run);
    for (int64_t i = 0; i < run.system.n_local; ++i)
        for (int64_t e = edges.begin[i]; e < edges.end[i]; ++e) {
            const double scale = (run.weights.unit_vectors ? edges.r[e] : Real(1)) * edges.power[e];
            flux[0] -= edges.x[e] * scale;
            flux[1] -= edges.y[e] * scale;
            flux[2] -= edges.z[e] * scale;
        }
}

void check_exchange(const Model &model, const reann_system &system) {
    if (system.n_atoms > system.n_local && model.settings().n_recursions > 0 &&
        !(system.forward && system.reverse))
        throw Error("Ghost atoms need callbacks that exchange their coefficients.");
}

} // namespace

void evaluate(const Model &model, int member, Workspace &workspace, const reann_system &system,
              const reann_result &result) {
    check(model, system);
    check_exchange(model, system);
    const bool derivatives = result.forces || result.virial || result.virials;
    if (model.settings().float64)
        energies_of(Run<double>(model, member, workspace, system, derivatives, nullptr), result);
    else
        energies_of(Run<float>(model, member, workspace, system, derivatives, nullptr), result);
}

void gradient(const Model &model, int member, Workspace &workspace, const reann_system &system,
              const reann_loss &loss, double *const *gradients) {
    check(model, system);
    if (system.n_atoms != system.n_local) throw Error("The gradient is of systems without ghosts.");
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

// What virials at the neighbors and their velocities give, and what flows through the recursion.
void heat_flux(const Model &model, int member, Workspace &workspace, const reann_system &system,
               const double *velocity, double *energies, double *flux) {
    const int64_t n = system.n_atoms;
    // One more: without atoms, too, this rank takes part in what the others exchange.
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

} // namespace reann
