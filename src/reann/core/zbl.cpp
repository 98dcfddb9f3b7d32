#include "zbl.hpp"

#include <cmath>

namespace reann {

Repulsion repulsion(const Zbl &zbl, int i, int j, double r) {
    constexpr double coulomb = 14.399645478425668; // e^2 / (4 pi eps0) in eV Å
    constexpr double amplitude[4] = {0.18175, 0.50986, 0.28022, 0.02817};
    constexpr double decay[4] = {3.19980, 0.94229, 0.40290, 0.20162};
    const double inner = zbl.inner[i * zbl.n_elements + j], outer = zbl.outer[i * zbl.n_elements + j];
    if (r >= outer) return {0.0, 0.0};
    const double per_a = (std::pow(zbl.charge[i], 0.23) + std::pow(zbl.charge[j], 0.23)) / 0.46850;
    double phi = 0.0, phi_slope = 0.0;
    for (int n = 0; n < 4; ++n) {
        const double term = amplitude[n] * std::exp(-decay[n] * per_a * r);
        phi += term;
        phi_slope -= decay[n] * per_a * term;
    }
    // f = 1 - u^3 (10 - 15 u + 6 u^2), from 1 at `inner` to 0 at `outer`
    const double width = outer - inner, u = r > inner ? (r - inner) / width : 0.0;
    const double f = 1.0 - u * u * u * (10.0 - u * (15.0 - 6.0 * u));
    const double f_slope = -30.0 * u * u * (1.0 - u) * (1.0 - u) / width;
    const double scale = 0.5 * coulomb * zbl.charge[i] * zbl.charge[j] / r;
    return {scale * phi * f, scale * (phi_slope * f + phi * f_slope - phi * f / r)};
}

} // namespace reann
