#include "repulsion.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "facts.hpp"

namespace reann {

namespace {

Repulsion of_nuclei(const PairRepulsion &zbl, int i, int j, double r) {
    const double inner = zbl.inner[i * zbl.n_elements + j], outer = zbl.outer[i * zbl.n_elements + j];
    if (r >= outer) return {0.0, 0.0};
    const double z_i = zbl.charge[i], z_j = zbl.charge[j];
    const double per_a = (std::pow(z_i, zbl_exponent) + std::pow(z_j, zbl_exponent)) / zbl_length;
    double phi = 0.0, phi_slope = 0.0;
    for (size_t n = 0; n < std::size(zbl_decays); ++n) {
        const double term = zbl_amplitudes[n] * std::exp(-zbl_decays[n] * per_a * r);
        phi += term;
        phi_slope -= zbl_decays[n] * per_a * term;
    }
    // f = 1 - u^3 (10 - 15 u + 6 u^2), from 1 at `inner` to 0 at `outer`
    const double width = outer - inner, u = r > inner ? (r - inner) / width : 0.0;
    const double f = 1.0 - u * u * u * (10.0 - u * (15.0 - 6.0 * u));
    const double f_slope = -30.0 * u * u * (1.0 - u) * (1.0 - u) / width;
    const double scale = 0.5 * zbl_coulomb * z_i * z_j / r;
    return {scale * phi * f, scale * (phi_slope * f + phi * f_slope - phi * f / r)};
}

Repulsion of_close_pairs(const PairRepulsion &pairs, int i, int j, double r) {
    const int pair = i * pairs.n_elements + j;
    if (r >= pairs.start[pair]) return {0.0, 0.0};
    const double b = pairs.decay[pair], A = 0.5 * pairs.amplitude[pair], y = b * (pairs.start[pair] - r);
    const double rest = std::expm1(y) - y - y * y / 2.0;
    return {A * (rest - y * y * y / 6.0), -A * b * rest};
}

} // namespace

Softened softened(const PairRepulsion &pairs, int i, int j, double r) {
    const double start = pairs.start ? pairs.start[i * pairs.n_elements + j] : 0.0;
    if (r >= start) return {r, 1.0, 0.0};
    const double width = repulsion_width * start, u = std::min((start - r) / width, 1.0);
    return {start - width * u * (1.0 - u * u * u * (2.5 - u * (3.0 - u))),
            1.0 - u * u * u * (10.0 - u * (15.0 - 6.0 * u)), 30.0 * u * u * (1.0 - u) * (1.0 - u) / width};
}

Repulsion repulsion(const PairRepulsion &pairs, int i, int j, double r) {
    const Repulsion none{0.0, 0.0};
    const Repulsion nuclei = pairs.charge ? of_nuclei(pairs, i, j, r) : none;
    const Repulsion close = pairs.start ? of_close_pairs(pairs, i, j, r) : none;
    return {nuclei.energy + close.energy, nuclei.slope + close.slope};
}

} // namespace reann
