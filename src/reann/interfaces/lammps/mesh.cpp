#include "mesh.h"

#include <algorithm>
#include <cmath>

#include "kernels/spreading.hpp"

namespace reann {
namespace {

const double pi = std::acos(-1.0);

// The next even number of mesh points whose factors are 2, 3 and 5.
int good_size(double least, int order) {
    for (int n = std::max(int(std::ceil(least)), order);; ++n) {
        int rest = n;
        for (int factor : {2, 3, 5})
            while (rest % factor == 0) rest /= factor;
        if (rest == 1 && n % 2 == 0) return n;
    }
}

// Factors |b(m)|^2 that turn splines into exponentials.
std::vector<double> euler(int n, int order) {
    std::vector<double> at_points = {1.0}, found; // M at 1, 2, ...
    for (int degree = 3; degree <= order; ++degree) {
        std::vector<double> next(degree - 1, 0.0);
        for (int x = 1; x < degree; ++x) {
            const double left = x <= degree - 2 ? at_points[x - 1] : 0.0, right = x >= 2 ? at_points[x - 2] : 0.0;
            next[x - 1] = (x * left + (degree - x) * right) / (degree - 1);
        }
        at_points = next;
    }
    for (int m = 0; m < n; ++m) {
        double re = 0.0, im = 0.0;
        for (int k = 0; k < order - 1; ++k) {
            re += std::cos(2.0 * pi * m * k / n) * at_points[k];
            im += std::sin(2.0 * pi * m * k / n) * at_points[k];
        }
        found.push_back(1.0 / (re * re + im * im));
    }
    return found;
}

} // namespace

void Mesh::place(const double *cell, int64_t n, const double *position) {
    if (!std::equal(cell, cell + 9, cell_)) set_cell(cell);
    n_ = n;
    position_.assign(position, position + 3 * n);
    coarse_.is_placed = wide_.is_placed = false;
    std::vector<double> place(3 * n);
    for (int64_t i = 0; i < n; ++i)
        for (int axis = 0; axis < 3; ++axis)
            for (int a = 0; a < 3; ++a)
                place[3 * i + axis] += sizes_[axis] * position[3 * i + a] * inverse_[3 * a + axis];
    splines_ = splines_at(place.data(), n, sizes_.data(), fineness_.order);
}

// The mesh of the same charges at the present positions.
Mesh &Mesh::placed(Coarser &coarser, double sigma, Fineness fineness) {
    if (!coarser.mesh) coarser.mesh = std::make_unique<Mesh>(world_, sigma, fineness);
    if (!coarser.is_placed) coarser.mesh->place(cell_, n_, position_.data());
    coarser.is_placed = true;
    return *coarser.mesh;
}

std::vector<double> Mesh::potentials(const std::vector<double> &q) {
    std::vector<double> found = filtered(q, G_);
    for (int64_t i = 0; i < n_; ++i) found[i] -= q[i] * self_potential(sigma_);
    return found;
}

std::vector<double> Mesh::coarse_potentials(const std::vector<double> &q) {
    return placed(coarse_, sigma_, {4, 1.25}).potentials(q);
}

CoulombSlopes Mesh::slopes(const std::vector<double> &q) {
    double by_strain[9] = {};
    spread(q);
    multiply(G_, by_strain);
    transform_back();
    CoulombSlopes found = read_slopes(q);
    std::copy_n(by_strain, 9, found.by_strain);
    return found;
}

std::vector<double> Mesh::preconditioned(const std::vector<double> &residual, double hardness) {
    const bool is_placed = wide_.is_placed;
    Mesh &wide = placed(wide_, 2.0 * sigma_, {4, 1.2});
    if (!is_placed) {
        const double density = wide.highest_density();
        filter_ = wide.G_;
        for (double &G : filter_) G = (1.0 - std::sqrt(hardness / (hardness + density * G))) / density;
    }
    std::vector<double> left = residual;
    for (int twice = 0; twice < 2; ++twice) {
        const std::vector<double> waves = wide.filtered(left, filter_);
        for (int64_t i = 0; i < n_; ++i) left[i] -= waves[i];
    }
    for (double &x : left) x /= hardness;
    return left;
}

// The sum over waves of G S exp(-i k . r) at the charges.
std::vector<double> Mesh::filtered(const std::vector<double> &q, const std::vector<double> &G) {
    spread(q);
    multiply(G);
    transform_back();
    return read();
}

// Of Gaussians of width sigma around the atoms, per volume of the cell.
double Mesh::highest_density() {
    spread(std::vector<double>(n_, 1.0));
    std::vector<double> of_gaussians(G_.size());
    for_waves([&](long at, const int *, const double *, double k2) {
        of_gaussians[at] = std::exp(-0.5 * sigma_ * sigma_ * k2);
    });
    multiply(of_gaussians);
    transform_back();
    return *std::max_element(mesh_.begin(), mesh_.end());
}

void Mesh::set_cell(const double *cell) {
    std::copy_n(cell, 9, cell_);
    const double *a = cell, *b = cell + 3, *c = cell + 6;
    const auto cross = [](const double *u, const double *v, int k) {
        return u[(k + 1) % 3] * v[(k + 2) % 3] - u[(k + 2) % 3] * v[(k + 1) % 3];
    };
    volume_ = 0.0;
    for (int k = 0; k < 3; ++k) volume_ += a[k] * cross(b, c, k);
    for (int k = 0; k < 3; ++k) {
        inverse_[3 * k] = cross(b, c, k) / volume_;
        inverse_[3 * k + 1] = cross(c, a, k) / volume_;
        inverse_[3 * k + 2] = cross(a, b, k) / volume_;
    }
    volume_ = std::abs(volume_);
    std::array<int, 3> sizes;
    for (int axis = 0; axis < 3; ++axis) {
        const double *v = cell + 3 * axis;
        const double length = std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
        sizes[axis] = good_size(length * fineness_.per_sigma / sigma_, fineness_.order);
    }
    if (!waves_ || sizes != sizes_) {
        sizes_ = sizes;
        waves_ = std::make_unique<Waves>(world_, sizes);
        mesh_.resize(long(sizes[0]) * sizes[1] * sizes[2]);
        for (int axis = 0; axis < 3; ++axis) factors_[axis] = euler(sizes[axis], fineness_.order);
    }
    G_.resize(sizes_[0] * (waves_->last() - waves_->first()));
    const double times = 4.0 * pi * coulomb / volume_;
    for_waves([&](long at, const int *n, const double *, double k2) {
        const double b = factors_[0][n[0]] * factors_[1][n[1]] * factors_[2][n[2]];
        G_[at] = k2 > 0.0 ? times * b * std::exp(-0.5 * sigma_ * sigma_ * k2) / k2 : 0.0;
    });
}

// Calls visit(index, numbers, k, k^2) for the waves of this rank.
template <class Visit> void Mesh::for_waves(const Visit &visit) const {
    const long first = waves_->first(), last = waves_->last();
    const auto frequency = [](int n, int size) { return 2.0 * pi * (2 * n < size ? n : n - size); };
    for (int x = 0; x < sizes_[0]; ++x)
        for (long column = first; column < last; ++column) {
            const int n[3] = {x, int(column / waves_->half()), int(column % waves_->half())};
            const double m[3] = {frequency(n[0], sizes_[0]), frequency(n[1], sizes_[1]), 2.0 * pi * n[2]};
            double k[3];
            for (int a = 0; a < 3; ++a)
                k[a] = inverse_[3 * a] * m[0] + inverse_[3 * a + 1] * m[1] + inverse_[3 * a + 2] * m[2];
            visit(x * (last - first) + column - first, n, k, k[0] * k[0] + k[1] * k[1] + k[2] * k[2]);
        }
}

// Transforms the charges of all ranks to waves.
void Mesh::spread(const std::vector<double> &q) {
    std::fill(mesh_.begin(), mesh_.end(), 0.0);
    sums_over_points.spread(splines_, q.data(), mesh_.data());
    waves_->forward(mesh_.data());
}

// S becomes G S. The strain derivative is 1/2 sum_k G |S|^2 [(2 / k^2 + sigma^2) k k - 1].
void Mesh::multiply(const std::vector<double> &G, double *by_strain) {
    const Complex S = waves_->S();
    if (by_strain) {
        const int half = sizes_[2] / 2;
        for_waves([&](long at, const int *n, const double *k, double k2) {
            const double twice = n[2] == 0 || n[2] == half ? 1.0 : 2.0; // for the opposite wave
            const double power = 0.5 * twice * G[at] * (S.re[at] * S.re[at] + S.im[at] * S.im[at]);
            const double along = k2 > 0.0 ? power * (2.0 / k2 + sigma_ * sigma_) : 0.0;
            for (int a = 0; a < 3; ++a) {
                for (int b = 0; b < 3; ++b) by_strain[3 * a + b] += along * k[a] * k[b];
                by_strain[4 * a] -= power;
            }
        });
    }
    for (size_t at = 0; at < G.size(); ++at) {
        S.re[at] *= G[at];
        S.im[at] *= G[at];
    }
}

void Mesh::transform_back() { waves_->backward(mesh_.data()); }

std::vector<double> Mesh::read() const {
    std::vector<double> values(n_);
    sums_over_points.read(splines_, mesh_.data(), values.data());
    return values;
}

CoulombSlopes Mesh::read_slopes(const std::vector<double> &q) const {
    CoulombSlopes found{std::vector<double>(n_), std::vector<double>(3 * n_)};
    std::vector<double> by_place(3 * n_);
    sums_over_points.read_slopes(splines_, mesh_.data(), found.by_charge.data(), by_place.data());
    for (int64_t i = 0; i < n_; ++i) {
        found.by_charge[i] -= q[i] * self_potential(sigma_);
        for (int a = 0; a < 3; ++a)
            for (int axis = 0; axis < 3; ++axis)
                found.by_position[3 * i + a] += q[i] * by_place[3 * i + axis] * sizes_[axis] * inverse_[3 * a + axis];
    }
    return found;
}

} // namespace reann
