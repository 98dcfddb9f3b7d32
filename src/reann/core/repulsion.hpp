// Repulsion at short range: of screened nuclei (Ziegler, Biersack, Littmark, 1985; zbl.py), and of pairs that
// are closer than in the training data (repulsion.py).
//
//     1/2 Z_i Z_j e^2 / (4 pi eps0 r) phi(r / a) f(r),   a = 0.46850 Å / (Z_i^0.23 + Z_j^0.23)
//     1/2 A (e^y - 1 - y - y^2/2 - y^3/6),   y = b (r_0 - r),   for r < r_0
//
// For close pairs, the distance in the network is R = r_0 - w (u - 5/2 u^4 + 3 u^5 - u^6) with u = (r_0 - r)
// / w, and R = r_0 - w / 2 for u > 1.
#pragma once

#include "plan.hpp"

namespace reann {

struct Repulsion {
    double energy, slope; // eV, and its derivative with respect to r
};

// Whether two atoms are so close that any of these terms is not zero.
inline bool are_close(const PairRepulsion &pairs, int element_i, int element_j, double r) {
    const int pair = element_i * pairs.n_elements + element_j;
    return (pairs.outer && r < pairs.outer[pair]) || (pairs.start && r < pairs.start[pair]);
}

struct Softened {
    double r, slope;        // Å, and its derivative with respect to the distance
    double curvature = 0.0; // 1/Å, the second derivative
};

Softened softened(const PairRepulsion &pairs, int element_i, int element_j, double r);

Repulsion repulsion(const PairRepulsion &pairs, int element_i, int element_j, double r);

} // namespace reann
