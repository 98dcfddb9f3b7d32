// Quantities that walks (run.hpp) compute: energies and their derivatives, in one call or in two, the
// gradient of a loss of these, and the heat flux.

#include "evaluate.hpp"

#include "run.hpp"

namespace reann {
namespace {

void clear(double *p, int64_t n) {
    if (p) std::fill_n(p, n, 0.0);
}

// Memory of each chunk for its contributions to the derivatives, set to zero.
template <class Real> void make_sums(Run<Real> &run, const reann_result &result) {
    const int64_t n = run.system.n_atoms, n_systems = run.system.n_systems;
    const auto room = [&](double *&part, bool wanted, int64_t size) {
        if (!wanted) part = nullptr;
        else if (!part) part = run.workspace.template take<double>(size);
        clear(part, size);
    };
    for (Chunk<Real> &chunk : run.chunks) {
        room(chunk.forces, run.work.derivatives, 3 * n);
        room(chunk.virial, result.virial, 9 * n_systems);
        room(chunk.virials, result.virials, 9 * n);
        room(chunk.dipole, result.dipole, 3 * run.planes * n_systems);
    }
}

template <class Real> void give_energies(const Run<Real> &run, double *energies) {
    for (int64_t i = 0; i < run.system.n_local; ++i)
        energies[run.work.atoms.caller[i]] = run.work.energies[i];
}

template <class Real> void make_outputs(Run<Real> &run, const double *wanted) {
    const int64_t size = run.system.n_local * run.weights.outputs_width;
    if (!wanted || run.weights.outputs_width == 0) return;
    run.work.outputs = run.workspace.template take<double>(size + 1); // not NULL without atoms
    clear(run.work.outputs, size);
}

template <class Real> void give_outputs(const Run<Real> &run, double *outputs) {
    const int64_t width = run.weights.outputs_width;
    for (int64_t i = 0; run.work.outputs && i < run.system.n_local; ++i)
        std::copy_n(run.work.outputs + i * width, width, outputs + run.work.atoms.caller[i] * width);
}

template <class Real> void give_derivatives(const Run<Real> &run, const reann_result &result) {
    const int32_t *caller = run.work.atoms.caller;
    for (int64_t i = 0; i < run.system.n_atoms; ++i) {
        if (result.forces) run.add_up(result.forces + 3 * caller[i], 3, &Chunk<Real>::forces, 3 * i);
        if (result.virials)
            run.add_up(result.virials + 9 * caller[i], 9, &Chunk<Real>::virials, 9 * i);
    }
    if (result.virial) run.add_up(result.virial, 9 * run.system.n_systems, &Chunk<Real>::virial, 0);
    if (result.dipole) run.add_up(result.dipole, 3 * run.system.n_systems, &Chunk<Real>::dipole, 0);
}

template <class Real> void make_extrapolation(Run<Real> &run) {
    run.work.extrapolation = run.workspace.template take<double>(run.system.n_local);
}

template <class Real> void give_extrapolation(const Run<Real> &run, double *extrapolation) {
    for (int64_t i = 0; extrapolation && i < run.system.n_local; ++i)
        extrapolation[run.work.atoms.caller[i]] = run.work.extrapolation[i];
}

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

// A walk that has stopped after the energies.
template <class Real> struct Halfway final : Kept {
    const reann_system system;
    Run<Real> run;

    Halfway(const Model &model, int member, Workspace &workspace, const reann_system &given)
        : system(given), run(model, member, workspace, system, true, nullptr) {
        run.split();
    }

    void adjoint(const double *seeds, const double *output_seeds, const reann_result &result) override {
        if (output_seeds && run.weights.outputs_width > 0 && !run.work.outputs)
            throw Error("Seeds of outputs need the outputs of reann_forward, which were not requested.");
        make_sums(run, result);
        run.walk_back(seeds, run.work.outputs ? output_seeds : nullptr);
        give_extrapolation(run, result.extrapolation);
        give_derivatives(run, result);
    }
};

template <class Real>
void walk_halfway(const Model &model, int member, Workspace &workspace, const reann_system &system,
                  double *energies, double *outputs) {
    auto halfway = std::make_unique<Halfway<Real>>(model, member, workspace, system);
    make_outputs(halfway->run, outputs);
    make_extrapolation(halfway->run);
    halfway->run.walk();
    give_energies(halfway->run, energies);
    give_outputs(halfway->run, outputs);
    workspace.kept = std::move(halfway);
}

template <class Real> void make_gradients(Run<Real> &run) {
    for (Chunk<Real> &chunk : run.chunks) {
        chunk.parameters = run.workspace.template take<double>(run.weights.n_parameters);
        clear(chunk.parameters, run.weights.n_parameters);
    }
}

// Runs a walk with derivatives; the gradient with respect to the folded weights is then in the chunks.
template <class Real> void walk_with_tangents(Run<Real> &run) {
    make_gradients(run);
    run.walk();
}

// The same for a loss whose derivatives with respect to the outputs depend on their rates.
template <class Real> void walk_with_rates(Run<Real> &run) {
    const reann_loss &loss = *run.loss;
    std::vector<double> rates(run.system.n_local * run.weights.outputs_width + 1), seeds(rates.size());
    make_gradients(run);
    make_outputs(run, rates.data());
    run.split();
    run.walk();
    give_outputs(run, rates.data());
    if (!loss.seeds(loss.context, rates.data(), seeds.data()))
        throw Error("The callback for the derivatives of the outputs failed.");
    run.work.output_slopes = loss.output_slopes;
    run.walk_back(loss.energy_slopes, seeds.data());
}

// The gradient with respect to the folded weights and the reference energies.
template <class Real>
std::vector<double> gradient_of(Run<Real> run, std::vector<double> &reference_bar) {
    const Weights<Real> &weights = run.weights;
    const bool has_outputs = weights.outputs_width > 0;
    run.work.seeds = run.loss->energy_slopes;
    if (has_outputs) run.work.output_bar = run.loss->outputs;
    if (has_outputs && run.loss->seeds) walk_with_rates(run);
    else walk_with_tangents(run);
    std::vector<double> bar(weights.n_parameters), count(weights.n_elements);
    run.add_up(bar.data(), weights.n_parameters, &Chunk<Real>::parameters, 0);
    reference_bar.assign(weights.n_elements, 0.0);
    for (int64_t i = 0; i < run.system.n_local; ++i) {
        const int z = run.work.atoms.element[i];
        count[z] += 1.0;
        if (run.loss->energies) reference_bar[z] += run.loss->energies[run.work.atoms.caller[i]];
        for (int k = 0; !weights.layers && k < weights.n_radial; ++k)
            bar[weights.coefficients_at + int64_t(z) * weights.stride + k] +=
                run.work.coefficients_bar[i * run.rows_size + weights.stride + k];
    }
    for (int z = 0; z < weights.n_elements; ++z)
        if (count[z] > 0.0)
            run.kernels.form(weights).gradient_of_nothing(weights, z, run.chunks[0].scratch, count[z],
                                            reference_bar[z], bar.data());
    return bar;
}

// Minus n numbers, such as the derivatives of a loss that displace atoms along a velocity; NULL for NULL.
const double *minus(const double *from, int64_t n, std::vector<double> &to) {
    if (!from) return nullptr;
    to.resize(n + 1); // one more than needed, so that the address is not NULL
    for (int64_t k = 0; k < n; ++k) to[k] = -from[k];
    return to.data();
}

// The same for sum_s weights[s] d^2E_s/dt^2 along a field and a displacement: twice the second coefficient of
// the Taylor series.
template <class Real>
std::vector<double> curvature_gradient_of(const Model &model, int member, Workspace &workspace,
                                          const reann_system &system, const double *velocity,
                                          const double *directions, const double *weights) {
    std::vector<double> moved, changed;
    reann_loss along = {};
    along.forces = minus(velocity, 3 * system.n_atoms, moved);
    along.dipole = minus(directions, 3 * system.n_systems, changed);
    std::vector<double> seeds(system.n_local + 1);
    for (int64_t i = 0; i < system.n_local; ++i) seeds[i] = 2.0 * weights[system.system ? system.system[i] : 0];
    Run<Real> run(model, member, workspace, system, true, &along, false, 2);
    run.work.seeds = seeds.data();
    walk_with_tangents(run);
    std::vector<double> bar(run.weights.n_parameters);
    run.add_up(bar.data(), run.weights.n_parameters, &Chunk<Real>::parameters, 0);
    return bar;
}

// The heat flux through the recursion, J = -sum_ij r_ij sum_t (dE/dc_ij^(t)) . dc_j^(t) along the tangents,
// for atoms that move by `-loss.forces`.
template <class Real> void add_flux(Run<Real> run, double *flux) {
    Edges<Real> &edges = run.work.edges;
    edges.power = run.workspace.template take<Real>(edges.capacity);
    walk_with_tangents(run);
    for (int64_t i = 0; i < run.system.n_local; ++i)
        for (int64_t e = edges.begin[i]; e < edges.end[i]; ++e) {
            const double length = run.weights.unit_vectors ? 1.0 : edges.r[e];
            const double scale = edges.distance[e] / length * edges.power[e];
            flux[0] -= edges.x[e] * scale;
            flux[1] -= edges.y[e] * scale;
            flux[2] -= edges.z[e] * scale;
        }
}

// Dipoles of systems and, with tangents, their rates.
template <class Real> void give_rates(Run<Real> &run, double *dipole, double *rate) {
    reann_result result = {};
    result.dipole = dipole;
    make_sums(run, result);
    walk_with_tangents(run);
    for (int64_t s = 0; s < run.system.n_systems; ++s) {
        run.add_up(dipole + 3 * s, 3, &Chunk<Real>::dipole, 6 * s);
        run.add_up(rate + 3 * s, 3, &Chunk<Real>::dipole, 6 * s + 3);
    }
}

// One walk for each component b of the field: dmu/dF_b, and dF_i/dF_b of the forces, which is dmu_b/dr_i.
template <class Real>
void give_responses(const Model &model, int member, Workspace &workspace, const reann_system &system,
                    double *dipole, double *polarizability, double *born) {
    std::vector<double> rate(3 * system.n_systems);
    for (int b = 0; b < 3; ++b) {
        std::vector<double> along(3 * system.n_systems, 0.0); // minus the direction
        for (int64_t s = 0; s < system.n_systems; ++s) along[3 * s + b] = -1.0;
        reann_loss loss = {};
        loss.dipole = along.data();
        Run<Real> run(model, member, workspace, system, true, &loss, born != nullptr);
        give_rates(run, dipole, rate.data());
        for (size_t k = 0; k < rate.size(); ++k) polarizability[3 * k + b] = rate[k];
        for (int64_t i = 0; born && i < system.n_atoms; ++i)
            run.add_up(born + 9 * run.work.atoms.caller[i] + 3 * b, 3, &Chunk<Real>::forces, 3 * i);
    }
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
