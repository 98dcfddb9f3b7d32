// Screened nuclear repulsion at short range (Ziegler, Biersack, Littmark, 1985); see zbl.py.
//
//     1/2 Z_i Z_j e^2 / (4 pi eps0 r) phi(r / a) f(r),   a = 0.46850 Å / (Z_i^0.23 + Z_j^0.23)
#pragma once

#include "plan.hpp"

namespace reann {

struct Repulsion {
    double energy, slope; // eV, and its derivative with respect to r
};

Repulsion repulsion(const Zbl &zbl, int element_i, int element_j, double r);

} // namespace reann
