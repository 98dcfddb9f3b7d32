// Features of a block of atoms from their edges, and the adjoint down to the forces.
#pragma once

#include "../repulsion.hpp"
#include "density.hpp"
#include "messages.hpp"
#include "moments.hpp"
#include "radial.hpp"
#include "scratch.hpp"

namespace reann {
namespace {

// The moments s^(t) of a block, kept for the backward passes.
template <class F>
typename F::Real *moments_of(const Work<typename F::Real> &work,
                             const Chunk<typename F::Real> &chunk, const Block &block, int t) {
    const auto &w = *work.weights;
    return work.moments[t] + block.first * w.n_components * F::planes * w.stride + chunk.gap;
}

// Results of g_t for a block: kept for the backward passes if they gate messages, else in scratch.
template <class F>
typename F::Real *changes_of(const Work<typename F::Real> &work, const Block &block, int t,
                             typename F::Real *scratch) {
    const auto &w = *work.weights;
    return w.directional ? work.changes[t] + block.first * F::planes * w.n_changes : scratch;
}

// rho^(t) of a block
template <class F, int l_max>
void embed(const Work<typename F::Real> &work, const Block &block, int t,
           const ManyBody<typename F::Real> &many, typename F::Real *moments,
           typename F::Real *features) {
    const auto &w = *work.weights;
    const auto &edges = work.edges;
    const int64_t row = F::planes * w.stride, size = w.n_components * row;
    const bool directed = w.directional && t > 0;
    for (int64_t i = block.first; i < block.first + block.n; ++i) {
        const auto sum = [&](auto with) REANN_LAMBDA {
            sum_moments<F, l_max, with.value>(edges, edges.begin[i], edges.end[i],
                                              edges.radial + edges.begin[i] * row,
                                              work.coefficients[t], w.n_rows, w.stride, moments);
        };
        if (directed) sum(Constant<true>{});
        else sum(Constant<false>{});
        density<F>(w, moments, many, features);
        moments += size;
        features += F::planes * w.n_features;
    }
}

int64_t system_of(const Atoms &atoms, int64_t i) {
    return atoms.system ? atoms.system[atoms.caller[i]] : 0;
}

// The energies of the free atom and of the repulsion of an atom.
template <class Real> double free_energy(const Work<Real> &work, int64_t i) {
    const int32_t *element = work.atoms.element;
    const Edges<Real> &edges = work.edges;
    double energy = work.weights->reference[element[i]];
    if (work.repulsion)
        for (int64_t e = edges.begin[i]; e < edges.end[i]; ++e) {
            const int z_j = element[edges.neighbor[e]];
            if (are_close(*work.repulsion, element[i], z_j, edges.distance[e]))
                energy += repulsion(*work.repulsion, element[i], z_j, edges.distance[e]).energy;
        }
    return energy;
}

// Initializes the arrays to which the passes add: energies of free atoms, derivatives of edges and, with
// tangents, the power.
template <class F>
void begin_sums(const Work<typename F::Real> &work, const Chunk<typename F::Real> &chunk) {
    const Edges<typename F::Real> &edges = work.edges;
    const int64_t end = chunk.edges + chunk.n_edges;
    if constexpr (F::planes == 1) {
        for (int64_t i = chunk.begin; i < chunk.end; ++i) work.energies[i] = free_energy(work, i);
    } else if (edges.power) {
        for (int64_t e = chunk.edges; e < end; ++e) edges.power[e] = 0;
    }
    if (edges.gradient)
        for (int64_t k = 4 * chunk.edges; k < 4 * end; ++k) edges.gradient[k] = 0;
}

// Let R(r) be the distance in the network, which equals r except for close pairs. Then g_ij = dE/dr_ij = R' b
// u + (G - u (u . G)) / r for unit vectors u, and R' (b + u . G) u + (G - u (u . G)) R / r for raw vectors.
// It follows that F_i = sum_j g_ij - sum_j g_ji, W = sum_ij r_ij (x) g_ij. With tangents and atoms at rest,
// the same holds for the rates of G, b and F; the repulsion of nuclei has no rate.
template <class F>
void add_forces(const Work<typename F::Real> &work, Chunk<typename F::Real> &chunk, int64_t i) {
    using Real = typename F::Real;
    const Edges<Real> &edges = work.edges;
    const Atoms &atoms = work.atoms;
    const bool unit = work.weights->unit_vectors;
    const double seed = work.repulsion && work.seeds ? work.seeds[atoms.caller[i]] : 1.0;
    double force[3] = {0.0, 0.0, 0.0}, W[9] = {};
    for (int64_t e = edges.begin[i]; e < edges.end[i]; ++e) {
        const double r = edges.distance[e], R = edges.r[e], per_length = unit ? 1.0 : 1.0 / R;
        const double u[3] = {edges.x[e] * per_length, edges.y[e] * per_length, edges.z[e] * per_length};
        const Real *G = edges.gradient + 4 * e;
        const double scale = unit ? 1.0 / r : R / r;
        double slope = 1.0, of_repulsion = 0.0;
        const int z_i = atoms.element[i], z_j = atoms.element[edges.neighbor[e]];
        if (work.repulsion && are_close(*work.repulsion, z_i, z_j, r)) {
            slope = softened(*work.repulsion, z_i, z_j, r).slope;
            if (F::planes == 1) of_repulsion = seed * repulsion(*work.repulsion, z_i, z_j, r).slope;
        }
        const double across = (unit ? 0.0 : slope) - scale; // none for raw vectors with R = r
        const double along =
            slope * G[3] + of_repulsion + across * (u[0] * G[0] + u[1] * G[1] + u[2] * G[2]);
        const int64_t j = edges.neighbor[e];
        double g[3];
        for (int a = 0; a < 3; ++a) {
            g[a] = along * u[a] + G[a] * scale;
            force[a] += g[a];
            chunk.forces[3 * j + a] -= g[a];
        }
        if (chunk.virial)
            for (int a = 0; a < 3; ++a)
                for (int b = 0; b < 3; ++b) W[3 * a + b] += r * u[a] * g[b];
        if (chunk.virials)
            for (int a = 0; a < 3; ++a)
                for (int b = 0; b < 3; ++b) chunk.virials[9 * j + 3 * a + b] -= r * u[a] * g[b];
    }
    for (int a = 0; a < 3; ++a) chunk.forces[3 * i + a] += force[a];
    if (!chunk.virial) return;
    const int64_t system = system_of(atoms, i);
    for (int k = 0; k < 9; ++k) chunk.virial[9 * system + k] += W[k];
}

// From the adjoint of the features of a block to those of the coefficients, radial functions and edges.
template <class F, int l_max>
void adjoint_of_embedding(const Work<typename F::Real> &work, Chunk<typename F::Real> &chunk,
                          const Scratch<typename F::Real> &scratch,
                          const Block &block, int t,
                          const typename F::Real *moments) {
    using Real = typename F::Real;
    const Weights<Real> &w = *work.weights;
    const Edges<Real> &edges = work.edges;
    const int64_t row = F::planes * w.stride, size = w.n_components * row;
    const RadialRows<Real> rows{w.alpha, w.center, scratch.alpha_bar, scratch.center_bar,
                                work.atoms.element,
                                w.radial_per_pair ? block.element * w.n_elements : 0};
    // Without tangents the adjoint of c^(0) is not needed.
    Real *c_bar = t > 0 || F::planes == 2 ? chunk.coefficients_bar : nullptr;
    for (int i = 0; i < block.n; ++i) {
        const int64_t atom = block.first + i;
        adjoint_of_density<F>(w, moments + i * size,
                              scratch.features_bar + i * F::planes * w.n_features, scratch.many,
                              scratch.M, scratch.S, chunk.parameters);
        if (w.directional && t < w.n_recursions)
            adjoint_of_mixing<F>(w, t, moments + i * size,
                                 changes_of<F>(work, block, t, nullptr) + i * F::planes * w.n_changes,
                                 work.coefficients_bar + atom * w.n_rows * row, scratch.messages,
                                 scratch.S, chunk.parameters);
        const auto adjoint = [&](auto with) REANN_LAMBDA {
            if constexpr (F::planes == 2)
                if (edges.power && t > 0) // c^(0) does not change
                    add_power<Real, l_max, with.value>(edges, edges.begin[atom], edges.end[atom],
                                                       edges.radial + edges.begin[atom] * row,
                                                       work.coefficients[t], w.n_rows, w.stride,
                                                       scratch.S);
            adjoint_of_moments<F, l_max, with.value>(edges, edges.begin[atom], edges.end[atom],
                                                     edges.radial + edges.begin[atom] * row,
                                                     work.coefficients[t], w.n_rows, w.stride,
                                                     scratch.S, rows, c_bar);
        };
        if (w.directional && t > 0) adjoint(Constant<true>{});
        else adjoint(Constant<false>{});
        if constexpr (F::planes == 1)
            if (t == 0) add_forces<F>(work, chunk, atom);
    }
}

// Adds the adjoints of alpha and center from a pass to the gradient.
template <class Real>
void add_radial_gradient(const Weights<Real> &w, const Scratch<Real> &scratch, Chunk<Real> &chunk) {
    const int pairs = w.radial_per_pair ? w.n_elements * w.n_elements : w.n_elements;
    for (int k = 0; k < pairs * w.stride; ++k) {
        chunk.parameters[w.alpha_at + k] += scratch.alpha_bar[k];
        chunk.parameters[w.center_at + k] += scratch.center_bar[k];
        scratch.alpha_bar[k] = scratch.center_bar[k] = 0;
    }
}

} // namespace
} // namespace reann
