// Edges inside the cutoff, and radial functions R_k(r) = exp(-alpha_k (r - rs_k)^2) fc(r).
//
// Lengths are differences of positions in double precision. The cutoff function is stored as fc and its
// logarithmic derivative fc'/fc, so that R_k' = R_k (fc'/fc - 2 alpha_k (r - rs_k)). Near the cutoff, fc'/fc
// grows as 1 / (rc - r) but is finite for r < rc; fc itself may be too small for single precision.
#pragma once

#include "../facts.hpp"
#include "../plan.hpp"
#include "../repulsion.hpp"
#include "functions.hpp"

namespace reann {
namespace {

constexpr double pi = 3.14159265358979323846;

// squared cosine: fc = sin^4 w, w = pi (rc - r) / (2 rc): exact where it vanishes
// polynomial: fc = 1 - 28 x^6 + 48 x^7 - 21 x^8 = (1 - x)^3 (1 + 3x + 6x^2 + 10x^3 + 15x^4 + 21x^5)
template <class Real>
REANN_INLINE void cutoff_function(bool polynomial, double cutoff, Vector<Real> inside,
                                  Vector<Real> &fc, Vector<Real> &slope) {
    if (polynomial) {
        const Vector<Real> y = inside * Real(1.0 / cutoff), x = Real(1) - y;
        const Vector<Real> p =
            Real(1) + x * (Real(3) + x * (Real(6) + x * (Real(10) + x * (Real(15) + Real(21) * x))));
        fc = y * y * y * p;
        const Vector<Real> x2 = x * x;
        slope = Real(-168.0 / cutoff) * (x2 * x2 * x) / (y * p); // not divided by fc, which may be zero
    } else {
        Vector<Real> s, c;
        sine_cosine<Real>(inside * Real(pi / (2.0 * cutoff)), s, c);
        fc = s * s * s * s;
        slope = Real(-2.0 * pi / cutoff) * c / s;
    }
}

// fc''/fc, from the distance and fc'/fc
template <class Real>
REANN_INLINE Vector<Real> cutoff_curvature(bool polynomial, double cutoff, Vector<Real> r, Vector<Real> slope) {
    if (!polynomial) {
        const Real k = Real(pi / (2.0 * cutoff));
        return Real(0.75) * slope * slope - Real(4) * k * k;
    }
    const Vector<Real> x = r * Real(1.0 / cutoff), y = Real(1) - x, x2 = x * x;
    const Vector<Real> p =
        Real(1) + x * (Real(3) + x * (Real(6) + x * (Real(10) + x * (Real(15) + Real(21) * x))));
    return Real(-168.0 / (cutoff * cutoff)) * (x2 * x2) * (Real(5) - Real(7) * x) / (y * y * p);
}

// Edges of the atoms of a chunk: neighbors, directions, distances, cutoff function.
template <class F> void find_edges(const Work<typename F::Real> &work, Chunk<typename F::Real> &chunk) {
    using Real = typename F::Real;
    const Weights<Real> &weights = *work.weights;
    const Atoms &atoms = work.atoms;
    Edges<Real> edges = work.edges;
    const double cutoff = weights.cutoff;
    const int64_t more = edges.capacity;
    int64_t e = chunk.edges;
    for (int64_t i = chunk.begin; i < chunk.end; ++i) {
        const int64_t at = atoms.caller[i];
        const double *own = atoms.position + 3 * at;
        edges.begin[i] = e;
        for (int64_t p = atoms.first[at]; p < atoms.first[at + 1]; ++p) {
            const int64_t other = atoms.neighbor[p];
            const double *there = atoms.position + 3 * other;
            double x = there[0] - own[0], y = there[1] - own[1], z = there[2] - own[2];
            if (atoms.shift) {
                x += atoms.shift[3 * p];
                y += atoms.shift[3 * p + 1];
                z += atoms.shift[3 * p + 2];
            }
            const double squared = x * x + y * y + z * z;
            if (!(squared < cutoff * cutoff)) continue;
            if (squared < shortest_distance * shortest_distance) chunk.closest = at;
            const double r = __builtin_sqrt(squared);
            if (!(r < cutoff)) continue; // the root may round to the cutoff
            Softened seen{r, 1.0, 0.0};
            if (work.repulsion) {
                const int z_i = atoms.element[i], z_j = atoms.element[atoms.rank[other]];
                if (are_close(*work.repulsion, z_i, z_j, r)) seen = softened(*work.repulsion, z_i, z_j, r);
                edges.distance[e] = static_cast<Real>(r);
            }
            const double scale = (weights.unit_vectors ? 1.0 : seen.r) / r;
            edges.neighbor[e] = atoms.rank[other];
            edges.x[e] = static_cast<Real>(x * scale);
            edges.y[e] = static_cast<Real>(y * scale);
            edges.z[e] = static_cast<Real>(z * scale);
            edges.r[e] = static_cast<Real>(seen.r);
            edges.fc[e] = static_cast<Real>(cutoff - seen.r);
            if constexpr (F::planes == 3) { // along r_ij + t u_ij, for unit vectors
                const double own_vector[3] = {x, y, z};
                double u[3] = {0.0, 0.0, 0.0}, along = 0.0, across = 0.0;
                for (int b = 0; b < 3 && atoms.force_bar; ++b) {
                    u[b] = atoms.force_bar[3 * at + b] - atoms.force_bar[3 * other + b];
                    along += own_vector[b] * u[b] / r;
                    across += u[b] * u[b];
                }
                across = (across - along * along) / (2.0 * r); // of the distance, to second order
                const double a = along / r, b = across / r;
                Real *const planes[3] = {edges.x + e, edges.y + e, edges.z + e};
                for (int c = 0; c < 3; ++c) {
                    planes[c][more] = static_cast<Real>((u[c] - a * own_vector[c]) / r);
                    planes[c][2 * more] = static_cast<Real>(((a * a - b) * own_vector[c] - a * u[c]) / r);
                }
                edges.r[more + e] = static_cast<Real>(along * seen.slope);
                edges.r[2 * more + e] =
                    static_cast<Real>(across * seen.slope + 0.5 * along * along * seen.curvature);
            }
            if constexpr (F::planes == 2) {
                // u_ij = v_i - v_j + r_ij . w: the derivative of the energy along this direction is that of
                // the loss
                double u[3] = {0.0, 0.0, 0.0};
                const double r_ij[3] = {x, y, z};
                for (int b = 0; b < 3; ++b) {
                    if (atoms.force_bar) u[b] += atoms.force_bar[3 * at + b] - atoms.force_bar[3 * other + b];
                    if (!atoms.virial_bar) continue;
                    const double *w = atoms.virial_bar + 9 * (atoms.system ? atoms.system[at] : 0);
                    for (int a = 0; a < 3; ++a) u[b] += r_ij[a] * w[3 * a + b];
                }
                const double along = (x * u[0] + y * u[1] + z * u[2]) / r;
                const double turn = (scale - (weights.unit_vectors ? 0.0 : seen.slope)) * along / r;
                edges.x[more + e] = static_cast<Real>(u[0] * scale - x * turn);
                edges.y[more + e] = static_cast<Real>(u[1] * scale - y * turn);
                edges.z[more + e] = static_cast<Real>(u[2] * scale - z * turn);
                edges.r[more + e] = static_cast<Real>(along * seen.slope);
            }
            ++e;
        }
        edges.end[i] = e;
    }
    chunk.n_edges = e - chunk.edges;
    for (int64_t p = chunk.edges; p < e; p += lanes<Real>) {
        Vector<Real> fc, slope;
        cutoff_function<Real>(weights.polynomial_cutoff, cutoff, load_vector(edges.fc + p), fc, slope);
        store_vector(edges.fc + p, fc);
        store_vector(edges.slope + p, slope);
    }
}

// Radial functions of the edges begin .. end of one atom, from `R` on.
template <class F>
void radial_functions(const Work<typename F::Real> &work, int64_t i, typename F::Real *R) {
    using Real = typename F::Real;
    const Weights<Real> &weights = *work.weights;
    const Edges<Real> &edges = work.edges;
    const int stride = weights.stride;
    const int64_t more = edges.capacity;
    const int32_t *element = work.atoms.element;
    const int64_t row_of_center = weights.radial_per_pair ? element[i] * weights.n_elements : 0;
    for (int64_t e = edges.begin[i]; e < edges.end[i]; ++e, R += F::planes * stride) {
        const int64_t row = (row_of_center + element[edges.neighbor[e]]) * stride;
        for (int k = 0; k < stride; k += lanes<Real>) {
            const Vector<Real> alpha = load_vector(weights.alpha + row + k);
            const Vector<Real> d = edges.r[e] - load_vector(weights.center + row + k);
            const Vector<Real> value = exponential(-alpha * d * d) * edges.fc[e];
            store_vector(R + k, value);
            if constexpr (F::planes == 2) {
                const Vector<Real> derivative = value * (edges.slope[e] - Real(2) * alpha * d);
                store_vector(R + stride + k, derivative * edges.r[more + e]);
            }
        }
    }
}

} // namespace
} // namespace reann
