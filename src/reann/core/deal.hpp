// Sorts the atoms into the order of the engine (local atoms by element, then ghosts) and divides them into
// chunks of equal cost, one for each thread.

#pragma once

#include <algorithm>
#include <vector>

#include "plan.hpp"
#include "reann.h"
#include "workspace.hpp"

namespace reann {

constexpr int64_t fewest_neighbors = 2000; // per thread; with fewer, waking it costs more than it saves
constexpr int most_threads = 32;           // each needs memory for a buffer of coefficients
constexpr int64_t cost_of_atom = 60;       // cost of the networks for an atom, in units of neighbors
constexpr int64_t line = 16;               // numbers; no vector belongs to two threads

namespace {

Atoms ordered(const reann_system &system, int n_elements, const reann_loss *loss, Workspace &workspace) {
    const int64_t n = system.n_atoms;
    int32_t *caller = workspace.take<int32_t>(n), *rank = workspace.take<int32_t>(n);
    int32_t *element = workspace.take<int32_t>(n);
    int64_t at = 0;
    for (int z = 0; z < n_elements; ++z)
        for (int64_t i = 0; i < system.n_local; ++i)
            if (system.element[i] == z) caller[at++] = static_cast<int32_t>(i);
    for (int64_t i = system.n_local; i < n; ++i) caller[i] = static_cast<int32_t>(i);
    for (int64_t i = 0; i < n; ++i) {
        rank[caller[i]] = static_cast<int32_t>(i);
        element[i] = system.element[caller[i]];
    }
    Atoms atoms;
    atoms.position = system.position;
    atoms.shift = system.shift;
    atoms.first = system.first;
    atoms.neighbor = system.neighbor;
    atoms.system = system.system;
    atoms.field = system.field;
    atoms.caller = caller;
    atoms.rank = rank;
    atoms.element = element;
    if (!loss) return atoms;
    atoms.energy_bar = loss->energies;
    atoms.force_bar = loss->forces;
    atoms.virial_bar = loss->virial;
    atoms.dipole_bar = loss->dipole;
    return atoms;
}

// Makes as many chunks as there are threads worth using, with room for all candidates as edges, and returns
// the total room. Atoms have `n_rows` rows of coefficients.
template <class Real>
int64_t deal(const reann_system &system, const Atoms &atoms, int n_rows,
             std::vector<Chunk<Real>> &chunks) {
    const auto candidates = [&](int64_t i) {
        const int64_t at = atoms.caller[i];
        return system.first[at + 1] - system.first[at];
    };
    const int64_t n = system.n_local;
    const int64_t neighbors = n ? system.first[n] - system.first[0] : 0;
    const int64_t most = std::max<int64_t>(most_threads / n_rows, 4);
    const int64_t worth = std::min(neighbors / fewest_neighbors, most);
    const int64_t n_chunks = std::max<int64_t>(1, std::min<int64_t>(worth, system.n_threads));
    const int64_t cost = neighbors + n * cost_of_atom;
    chunks.assign(n_chunks, Chunk<Real>());
    int64_t i = 0, spent = 0, edges = 0;
    for (int64_t c = 0; c < n_chunks; ++c) {
        Chunk<Real> &chunk = chunks[c];
        chunk.begin = i;
        chunk.edges = edges;
        chunk.gap = c * line;
        int64_t own = 0;
        while (i < n && (c + 1 == n_chunks || spent * n_chunks < cost * (c + 1))) {
            spent += candidates(i) + cost_of_atom;
            own += candidates(i++);
        }
        chunk.end = i;
        edges += (own + line - 1) / line * line;
    }
    return edges;
}

} // namespace
} // namespace reann
