// The driver: allocates memory for the passes (kernels/passes.hpp) and runs them for the chunks of atoms of
// all threads (deal.hpp). Each thread has a buffer for its contributions to shared atoms, and the buffers are
// summed in fixed order. Therefore the result depends on the number of threads, but never on which thread was
// first.

#pragma once

#include <algorithm>

#include "check.hpp"
#include "deal.hpp"
#include "model.hpp"
#include "team.hpp"
#include "workspace.hpp"

namespace reann {
namespace {

template <class Real> struct Run {
    Run(const Model &model, int member, Workspace &workspace, const reann_system &system,
        bool derivatives, const reann_loss *loss, bool force_rates = false, int order = 1)
        : weights(model.packed<Real>(member).weights()), kernels(kernels_of<Real>(level())),
          workspace(workspace), system(system), loss(loss), planes(loss ? 1 + order : 1),
          passes(kernels.form(weights).passes[planes - 1][weights.l_max]),
          row_size(int64_t(planes) * weights.stride), rows_size(weights.n_rows * row_size) {
        workspace.begin();
        work.weights = &weights;
        work.repulsion = model.repulsion(member);
        work.derivatives = work.adjoint = derivatives;
        work.atoms = ordered(system, weights.n_elements, loss, workspace);
        work.edges.capacity = deal(system, work.atoms, weights.n_rows, chunks);
        make_room(derivatives && (!loss || force_rates));
    }

    void add_up(double *to, int64_t n, double *Chunk<Real>::*part, int64_t from) const {
        for (int64_t k = 0; k < n; ++k) {
            double sum = 0.0;
            for (const Chunk<Real> &chunk : chunks) sum += (chunk.*part)[from + k];
            to[k] = sum;
        }
    }

    void make_room(bool of_edges) {
        const int64_t n = system.n_atoms, local = system.n_local;
        Edges<Real> &edges = work.edges;
        const int64_t capacity = edges.capacity;
        edges.begin = workspace.take<int64_t>(local);
        edges.end = workspace.take<int64_t>(local);
        edges.neighbor = workspace.take<int32_t>(capacity);
        for (Real **part : {&edges.x, &edges.y, &edges.z, &edges.r})
            *part = workspace.take<Real>(planes * capacity);
        edges.distance = work.repulsion ? workspace.take<Real>(capacity) : edges.r;
        edges.slope = workspace.take<Real>(capacity);
        edges.fc = workspace.take<Real>(capacity);
        if (of_edges) edges.gradient = workspace.take<Real>(4 * capacity);
        const int64_t radial_row = weights.layers ? int64_t(planes) * weights.basis_stride : row_size;
        edges.radial = workspace.take<Real>(capacity * radial_row + line);
        if (weights.layers && of_edges)
            edges.radial_slope = workspace.take<Real>(capacity * weights.basis_stride + line);
        work.energies = workspace.take<double>(local);
        if (system.forward || system.reverse) values.resize(n * weights.n_rows * planes * weights.n_channels);

        const int T = weights.n_recursions;
        coefficients.resize(T + 1);
        moments.resize(T);
        tape.resize(T);
        changes.resize(T);
        for (Real *&c : coefficients) c = workspace.take<Real>(n * rows_size + line);
        const int64_t n_chunks = chunks.size();
        for (int t = 0; t < T; ++t) {
            const KeptSizes &kept = weights.kept[t];
            const int64_t changed = kept.changes + (planes > 1 ? kept.sums : 0);
            moments[t] = workspace.take<Real>(local * planes * kept.moments + n_chunks * line);
            tape[t] = workspace.take<Real>(local * planes * kept.tape);
            changes[t] = changed ? workspace.take<Real>(local * planes * changed + line) : nullptr;
        }
        work.coefficients = coefficients.data();
        work.moments = moments.data();
        work.tape = tape.data();
        work.changes = changes.data();
        if (work.derivatives) work.coefficients_bar = workspace.take<Real>(n * rows_size);
        const int64_t scratch = kernels.form(weights).scratch_size(weights, planes);
        for (Chunk<Real> &chunk : chunks) {
            chunk.scratch = workspace.take<Real>(scratch);
            if (work.derivatives) chunk.coefficients_bar = workspace.take<Real>(n * rows_size);
        }
    }

    // Makes `walk` stop after the energies and keep the data that `walk_back` needs.
    void split() {
        const int64_t local = system.n_local, room = chunks.size() * line;
        const KeptSizes &kept = weights.kept[weights.n_recursions];
        work.last_moments = workspace.take<Real>(local * planes * kept.moments + room);
        work.last_features = workspace.take<Real>(local * planes * kept.features + room);
        work.last_tape = workspace.take<Real>(local * planes * kept.tape);
        if (planes > 1) work.last_sums = workspace.take<Real>(local * planes * kept.sums + line);
        work.adjoint = false;
    }

    void walk_back(const double *seeds, const double *output_seeds) {
        work.readout = false;
        work.adjoint = true;
        work.seeds = seeds;
        work.output_bar = output_seeds;
        walk();
    }

    // --- the walk -----------------------------------------------------------------------------

    void walk() {
        const int n_chunks = static_cast<int>(chunks.size()), T = weights.n_recursions;
        bool failed = false;
        std::vector<int64_t> impossible(n_chunks, -1);
        together(n_chunks, [&](const Team &team) {
            const auto each = [&](const auto &pass) {
                for (int c = team.rank; c < n_chunks; c += team.size) pass(chunks[c]);
                team.meet();
            };
            const auto exchange = [&](reann_exchange call, Real *rows, bool forward) {
                if (!call) return true;
                if (team.rank == 0 && !failed) failed = !exchanged(call, rows, forward);
                team.meet();
                return !failed;
            };
            if (work.readout) {
                each([&](Chunk<Real> &chunk) {
                    const auto [from, to] = share(chunk);
                    for (int64_t i = from; i < to; ++i) start(i);
                    if (work.derivatives)
                        std::fill_n(chunk.coefficients_bar, system.n_atoms * rows_size, Real(0));
                    int64_t &at = impossible[&chunk - chunks.data()];
                    for (int64_t i = chunk.begin; i < chunk.end && at < 0; ++i)
                        if (impossible_neighbor(system, work.atoms.caller[i]) >= 0)
                            at = work.atoms.caller[i];
                    if (at < 0) passes.prepare(work, chunk);
                });
                for (int64_t at : impossible)
                    if (at >= 0) return;
                for (int t = 0; t < T; ++t) {
                    each([&](Chunk<Real> &chunk) { passes.forward(work, chunk, t); });
                    if (!exchange(system.forward, coefficients[t + 1], true)) return;
                }
            } else { // computed before
                each([&](Chunk<Real> &chunk) {
                    if (work.edges.gradient)
                        std::fill_n(work.edges.gradient + 4 * chunk.edges, 4 * chunk.n_edges, Real(0));
                });
            }
            each([&](Chunk<Real> &chunk) { passes.middle(work, chunk); });
            if (!work.adjoint) return;
            for (int t = T - 1; t >= 0; --t) {
                each([&](Chunk<Real> &chunk) { reduce(chunk, t == T - 1); });
                if (!exchange(system.reverse, work.coefficients_bar, false)) return;
                each([&](Chunk<Real> &chunk) { passes.backward(work, chunk, t); });
            }
            if (planes == 2) each([&](Chunk<Real> &chunk) { reduce(chunk, T == 0); });
        });
        for (int64_t i : impossible)
            if (i >= 0) {
                const int32_t j = system.neighbor[impossible_neighbor(system, i)];
                throw Error("Atom " + std::to_string(j) + ", in the list of neighbors of atom " +
                            std::to_string(i) + ", does not exist.");
            }
        if (failed) throw Error("An exchange of the atoms' coefficients failed.");
        static_assert(shortest_distance == 1e-3, "the message below says so");
        for (const Chunk<Real> &chunk : chunks)
            if (chunk.closest >= 0)
                throw Error("Atom " + std::to_string(chunk.closest) +
                            " and another coincide: they are closer than 1e-3 Å.");
    }

    // The atoms, including ghosts, that a chunk prepares and sums.
    std::pair<int64_t, int64_t> share(const Chunk<Real> &chunk) const {
        const int64_t n = system.n_atoms, size = chunks.size(), c = &chunk - chunks.data();
        return {n * c / size, n * (c + 1) / size};
    }

    void start(int64_t i) {
        if (weights.layers) return; // the first layer depends on elements only
        const Real *c = weights.coefficients + int64_t(work.atoms.element[i]) * weights.stride;
        Real *to = coefficients[0] + i * rows_size;
        std::copy_n(c, weights.stride, to);
        if (planes == 2) std::fill_n(to + weights.stride, weights.stride, Real(0));
    }

    // Adds the contributions of the chunks to the adjoints of the rows that neighbors read. The adjoint of c
    // accumulates over t because of c^(t+1) = c^(t) + g_t; all other rows are read at one t only.
    void reduce(const Chunk<Real> &own, bool first) {
        const auto [from, to] = share(own);
        Real *bar = work.coefficients_bar;
        for (int64_t row = from * rows_size; row < to * rows_size; row += row_size) {
            const bool of_c = !weights.layers && row % rows_size == 0;
            for (int64_t k = row; k < row + row_size; ++k) {
                Real sum = first || !of_c ? Real(0) : bar[k];
                for (Chunk<Real> &chunk : chunks) {
                    sum += chunk.coefficients_bar[k];
                    chunk.coefficients_bar[k] = 0;
                }
                bar[k] = sum;
            }
        }
    }

    // Converts rows to the caller's order and precision, exchanges them, and converts them back.
    bool exchanged(reann_exchange call, Real *rows, bool forward) {
        const int64_t n = system.n_atoms, local = system.n_local, K = weights.n_channels;
        const int64_t n_rows = weights.n_rows * planes, width = n_rows * K;
        const int32_t *caller = work.atoms.caller;
        const auto each = [&](int64_t begin, int64_t end, const auto &copy) {
            for (int64_t i = begin; i < end; ++i)
                for (int64_t r = 0; r < n_rows; ++r)
                    copy(rows + i * rows_size + r * weights.stride, values.data() + caller[i] * width + r * K);
        };
        each(0, n, [&](const Real *row, double *to) { std::copy_n(row, K, to); });
        if (!call(system.context, values.data(), static_cast<int32_t>(width))) return false;
        if (forward) // padding is read, so old values must not remain there
            std::fill(rows + local * rows_size, rows + n * rows_size, Real(0));
        each(forward ? local : 0, forward ? n : local, [&](Real *row, const double *from) {
            for (int64_t k = 0; k < K; ++k) row[k] = static_cast<Real>(from[k]);
        });
        if (!forward) std::fill(rows + local * rows_size, rows + n * rows_size, Real(0));
        return true;
    }

    const Weights<Real> &weights;
    const Kernels<Real> &kernels;
    Workspace &workspace;
    const reann_system &system;
    const reann_loss *loss;
    const int planes;
    const Passes<Real> &passes;
    const int64_t row_size, rows_size; // numbers in a row of an atom, and in all its rows that neighbors read
    Work<Real> work;
    std::vector<Chunk<Real>> chunks;
    std::vector<Real *> coefficients, moments, tape, changes;
    std::vector<double> values;
};

} // namespace
} // namespace reann
