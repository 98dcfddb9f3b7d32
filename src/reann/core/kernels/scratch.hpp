// Blocks of atoms on which networks are evaluated together, and the memory that a chunk needs for a block.
#pragma once

#include "../plan.hpp"
#include "lanes.hpp"
#include "many_body.hpp"
#include "range.hpp"

namespace reann {
namespace {

// Scratch memory of a chunk, one part after the other.
template <class Real> struct Scratch {
    Real *features, *features_bar, *out, *layers, *M, *S, *moments, *messages, *tape, *alpha_bar, *center_bar;
    ManyBody<Real> many;
    OrbitalDensity<Real> orbitals;
    int64_t size;

    Scratch(const Weights<Real> &w, int planes, Real *start) {
        const int64_t row = planes * w.stride, atoms = block_atoms * planes;
        int widest = 0, tape_width = 0;
        for (int i = 0; i < w.n_elements * (w.n_recursions + 1); ++i) {
            const Network<Real> &net = i < w.n_elements ? w.readout[i] : w.updates[i - w.n_elements];
            widest = widest > net.widest ? widest : net.widest;
            tape_width = tape_width > net.tape ? tape_width : net.tape;
        }
        const int pairs = w.radial_per_pair ? w.n_elements * w.n_elements : w.n_elements;
        size = 0;
        const auto take = [&](Real *&part, int64_t n) {
            part = start ? start + size : nullptr; // without memory, to compute the size only
            size += n + 16;                        // the last vector may reach beyond the end
        };
        take(features, atoms * w.n_features);
        take(features_bar, atoms * w.n_features);
        take(out, atoms * (w.n_changes + lanes<Real>));
        take(layers, 4 * atoms * widest);
        take(M, w.n_radial * row);
        take(S, w.n_components * row);
        take(moments, block_atoms * w.n_components * row);
        take(messages, w.directional ? 2 * w.n_components * row : 0);
        take(tape, atoms * tape_width);
        const int64_t contracted = w.vector.columns ? many_rows * planes * w.vector.n_out : 0;
        take(many.contracted, contracted);
        take(many.contracted_bar, contracted);
        take(many.moments_bar, w.vector.columns ? many_rows * row : 0);
        const Linear<Real> *contraction = planes == 1 ? w.range.contraction : nullptr;
        take(orbitals.contracted, contraction ? most_components * contraction->n_out : 0);
        take(orbitals.density, contraction ? w.range.stride + lanes<Real> : 0);
        take(alpha_bar, planes == 2 ? pairs * w.stride : 0);
        take(center_bar, planes == 2 ? pairs * w.stride : 0);
    }
};

// Up to `most` neighboring atoms of one element.
struct Block {
    int64_t first;
    int n, element;
};

template <int most = block_atoms, class Real, class Body>
void each_block(const Work<Real> &work, const Chunk<Real> &chunk, const Body &body) {
    const int32_t *element = work.atoms.element;
    for (int64_t i = chunk.begin; i < chunk.end;) {
        Block block{i, 0, element[i]};
        while (block.n < most && i < chunk.end && element[i] == block.element) {
            ++i;
            ++block.n;
        }
        body(block);
    }
}

} // namespace
} // namespace reann
