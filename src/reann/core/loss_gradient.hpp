// Gradients with respect to the weights: of a loss of energies and their derivatives, and of curvatures.
//
// The walk carries tangents along the derivatives of the loss with respect to forces and virials, so that the
// gradient of a loss of forces needs no second backward pass.
#pragma once

#include "results.hpp"

namespace reann {
namespace {

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

} // namespace
} // namespace reann
