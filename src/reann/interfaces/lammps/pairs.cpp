#include "pairs.h"

#include <cmath>

namespace reann {

Pairs::Pairs(MPI_Comm world, double sigma, int64_t n, const double *position)
    : world_(world), sigma_(sigma), n_(n), position_(position, position + 3 * n) {
    int rank, n_ranks;
    MPI_Comm_rank(world, &rank);
    MPI_Comm_size(world, &n_ranks);
    sizes_.resize(n_ranks);
    starts_.assign(n_ranks + 1, 0);
    const int own = int(n);
    MPI_Allgather(&own, 1, MPI_INT, sizes_.data(), 1, MPI_INT, world);
    for (int r = 0; r < n_ranks; ++r) starts_[r + 1] = starts_[r] + sizes_[r];
    first_ = starts_[rank];
    all_positions_ = gathered(position, 3);
}

// The rows (n, width) of all ranks.
std::vector<double> Pairs::gathered(const double *own, int width) const {
    std::vector<double> all(int64_t(width) * starts_.back());
    std::vector<int> sizes = sizes_, starts = starts_;
    for (int &size : sizes) size *= width;
    for (int &start : starts) start *= width;
    MPI_Allgatherv(own, int(n_) * width, MPI_DOUBLE, all.data(), sizes.data(), starts.data(), MPI_DOUBLE, world_);
    return all;
}

std::vector<double> Pairs::potentials(const std::vector<double> &q) {
    const std::vector<double> all = gathered(q.data(), 1);
    const int64_t n_all = int64_t(all.size());
    if (matrix_.empty()) {
        matrix_.resize(n_ * n_all);
        for (int64_t i = 0; i < n_; ++i)
            for (int64_t j = 0; j < n_all; ++j) {
                const double *r_i = &position_[3 * i], *r_j = &all_positions_[3 * j];
                const double r = std::hypot(r_i[0] - r_j[0], r_i[1] - r_j[1], r_i[2] - r_j[2]);
                if (j != first_ + i) matrix_[i * n_all + j] = coulomb * std::erf(r / (std::sqrt(2.0) * sigma_)) / r;
            }
    }
    std::vector<double> found(n_);
    for (int64_t i = 0; i < n_; ++i)
        for (int64_t j = 0; j < n_all; ++j) found[i] += matrix_[i * n_all + j] * all[j];
    return found;
}

CoulombSlopes Pairs::slopes(const std::vector<double> &q) {
    const std::vector<double> all = gathered(q.data(), 1);
    const double narrow = 1.0 / (std::sqrt(2.0) * sigma_), at_zero = self_potential(sigma_);
    CoulombSlopes slopes{std::vector<double>(n_), std::vector<double>(3 * n_)};
    for (int64_t i = 0; i < n_; ++i) {
        const double *r_i = &position_[3 * i];
        double *gradient = &slopes.by_position[3 * i];
        for (int64_t j = 0; j < int64_t(all.size()); ++j) {
            if (j == first_ + i) continue;
            const double *r_j = &all_positions_[3 * j], d[3] = {r_i[0] - r_j[0], r_i[1] - r_j[1], r_i[2] - r_j[2]};
            const double r = std::sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
            const double f = coulomb * std::erf(narrow * r) / r;
            const double slope = (at_zero * std::exp(-narrow * narrow * r * r) - f) / r;
            slopes.by_charge[i] += f * all[j];
            for (int a = 0; a < 3; ++a) gradient[a] += q[i] * all[j] * slope * d[a] / r;
        }
        for (int a = 0; a < 3; ++a)
            for (int b = 0; b < 3; ++b) slopes.by_strain[3 * a + b] += r_i[a] * gradient[b];
    }
    return slopes;
}

std::vector<double> Pairs::preconditioned(const std::vector<double> &residual, double) { return residual; }

} // namespace reann
