#include "coulomb.h"

#include <cmath>

namespace reann {
namespace {

// Positions and charges of all ranks.
struct Gathered {
    std::vector<double> rows; // (all, 4)
    int64_t own = 0;          // index of the first charge of this rank
};

Gathered gather(MPI_Comm world, const Charges &charges) {
    int rank, n_ranks;
    MPI_Comm_rank(world, &rank);
    MPI_Comm_size(world, &n_ranks);
    const int size = int(4 * charges.n);
    std::vector<int> sizes(n_ranks), starts(n_ranks);
    MPI_Allgather(&size, 1, MPI_INT, sizes.data(), 1, MPI_INT, world);
    for (int r = 1; r < n_ranks; ++r) starts[r] = starts[r - 1] + sizes[r - 1];
    std::vector<double> own;
    for (int64_t i = 0; i < charges.n; ++i) {
        own.insert(own.end(), charges.position + 3 * i, charges.position + 3 * i + 3);
        own.push_back(charges.q[i]);
    }
    own.push_back(0.0); // so that the address is not NULL
    Gathered all;
    all.rows.resize(starts.back() + sizes.back() + 1);
    all.own = starts[rank] / 4;
    MPI_Allgatherv(own.data(), size, MPI_DOUBLE, all.rows.data(), sizes.data(), starts.data(), MPI_DOUBLE, world);
    return all;
}

} // namespace

CoulombSlopes::CoulombSlopes(int64_t n) : by_charge(n), by_position(3 * n), by_strain{} {}

CoulombSlopes slopes_of_pairs(MPI_Comm world, double sigma, const Charges &charges) {
    const Gathered all = gather(world, charges);
    const int64_t n_all = int64_t(all.rows.size()) / 4;
    const double narrow = 1.0 / (std::sqrt(2.0) * sigma), at_zero = std::sqrt(2.0 / std::acos(-1.0)) / sigma;
    CoulombSlopes slopes(charges.n);
    for (int64_t i = 0; i < charges.n; ++i) {
        const double *r_i = charges.position + 3 * i;
        for (int64_t j = 0; j < n_all; ++j) {
            if (j == all.own + i) continue;
            const double *row = &all.rows[4 * j], d[3] = {r_i[0] - row[0], r_i[1] - row[1], r_i[2] - row[2]};
            const double r = std::sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
            const double f = std::erf(narrow * r) / r;
            const double slope = (at_zero * std::exp(-narrow * narrow * r * r) - f) / r;
            slopes.by_charge[i] += coulomb * f * row[3];
            for (int a = 0; a < 3; ++a)
                slopes.by_position[3 * i + a] += coulomb * charges.q[i] * row[3] * slope * d[a] / r;
        }
        for (int a = 0; a < 3; ++a)
            for (int b = 0; b < 3; ++b) slopes.by_strain[3 * a + b] += r_i[a] * slopes.by_position[3 * i + b];
    }
    return slopes;
}

} // namespace reann
