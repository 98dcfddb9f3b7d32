#include "mesh.h"

#include <algorithm>
#include <cmath>

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

// M(w + j) and its derivative, in the order of increasing mesh points: j = order - 1, ..., 0.
void splines(double w, int order, double *weights, double *slopes) {
    double values[16] = {1.0}, lower[16];
    for (int n = 2; n <= order; ++n) {
        std::copy_n(values, n, lower);
        lower[n - 1] = 0.0;
        for (int j = 0; j < n; ++j) {
            const double x = w + j;
            values[j] = (x * lower[j] + (n - x) * (j ? lower[j - 1] : 0.0)) / (n - 1);
        }
    }
    for (int j = 0; j < order; ++j) {
        weights[order - 1 - j] = values[j];
        slopes[order - 1 - j] = lower[j] - (j ? lower[j - 1] : 0.0);
    }
}

} // namespace

void Mesh::place(const double *cell, int64_t n, const double *position) {
    if (!std::equal(cell, cell + 9, cell_)) set_cell(cell);
    n_ = n;
    position_.assign(position, position + 3 * n);
    wide_is_placed_ = false;
    weights_.resize(3 * order * n);
    slopes_.resize(3 * order * n);
    first_.resize(3 * n);
    for (int64_t i = 0; i < n; ++i)
        for (int axis = 0; axis < 3; ++axis) {
            double fraction = 0.0;
            for (int a = 0; a < 3; ++a) fraction += position[3 * i + a] * inverse_[3 * a + axis];
            const int size = sizes_[axis];
            const double at = size * fraction, point = std::floor(at);
            const int64_t last = static_cast<int64_t>(point) - (order - 1);
            first_[3 * i + axis] = int((last % size + size) % size);
            splines(at - point, order, &weights_[(3 * i + axis) * order], &slopes_[(3 * i + axis) * order]);
        }
}

std::vector<double> Mesh::potentials(const std::vector<double> &q) {
    std::vector<double> found = filtered(q, G_);
    for (int64_t i = 0; i < n_; ++i) found[i] -= q[i] * self_potential(sigma_);
    return found;
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
    constexpr double wide = 2.0, per_sigma = 1.2; // width in sigma, and fineness, of the Gaussians
    if (!wide_) wide_ = std::make_unique<Mesh>(world_, wide * sigma_, per_sigma);
    if (!wide_is_placed_) {
        wide_->place(cell_, n_, position_.data());
        wide_is_placed_ = true;
        const double density = wide_->highest_density();
        wide_filter_ = wide_->G_;
        for (double &G : wide_filter_) G /= hardness + density * G;
    }
    std::vector<double> found = wide_->filtered(residual, wide_filter_);
    for (int64_t i = 0; i < n_; ++i) found[i] = (residual[i] - found[i]) / hardness;
    return found;
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
        sizes[axis] = good_size(length * per_sigma_ / sigma_, order);
    }
    if (!waves_ || sizes != sizes_) {
        sizes_ = sizes;
        waves_ = std::make_unique<Waves>(world_, sizes, order);
        mesh_.resize(long(sizes[0]) * sizes[1] * waves_->row());
        for (int axis = 0; axis < 3; ++axis) factors_[axis] = euler(sizes[axis], order);
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

// Transforms the charges of all ranks to waves. Rows are longer than the mesh, so that the points of a charge
// are contiguous.
void Mesh::spread(const std::vector<double> &q) {
    std::fill(mesh_.begin(), mesh_.end(), 0.0);
    for (int64_t i = 0; i < n_; ++i) {
        const double *x = &weights_[3 * order * i], *y = x + order, *z = y + order;
        for (int j = 0; j < order; ++j)
            for (int k = 0; k < order; ++k) {
                const double part = q[i] * x[j] * y[k];
                double *to = &mesh_[row_of(&first_[3 * i], j, k)];
                for (int l = 0; l < order; ++l) to[l] += part * z[l];
            }
    }
    for (long at = 0; at < long(mesh_.size()); at += waves_->row())
        for (int l = 0; l < order; ++l) mesh_[at + l] += mesh_[at + sizes_[2] + l];
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

void Mesh::transform_back() {
    waves_->backward(mesh_.data());
    for (long at = 0; at < long(mesh_.size()); at += waves_->row())
        std::copy_n(&mesh_[at], order, &mesh_[at + sizes_[2]]);
}

std::vector<double> Mesh::read() const {
    std::vector<double> values(n_);
    for (int64_t i = 0; i < n_; ++i) {
        const double *x = &weights_[3 * order * i], *y = x + order, *z = y + order;
        for (int j = 0; j < order; ++j)
            for (int k = 0; k < order; ++k) {
                const double *from = &mesh_[row_of(&first_[3 * i], j, k)];
                double along = 0.0;
                for (int l = 0; l < order; ++l) along += from[l] * z[l];
                values[i] += x[j] * y[k] * along;
            }
    }
    return values;
}

CoulombSlopes Mesh::read_slopes(const std::vector<double> &q) const {
    CoulombSlopes found{std::vector<double>(n_), std::vector<double>(3 * n_)};
    for (int64_t i = 0; i < n_; ++i) {
        const double *x = &weights_[3 * order * i], *y = x + order, *z = y + order;
        const double *dx = &slopes_[3 * order * i], *dy = dx + order, *dz = dy + order;
        double value = 0.0, by_place[3] = {};
        for (int j = 0; j < order; ++j)
            for (int k = 0; k < order; ++k) {
                const double *from = &mesh_[row_of(&first_[3 * i], j, k)];
                double along = 0.0, slope = 0.0;
                for (int l = 0; l < order; ++l) along += from[l] * z[l], slope += from[l] * dz[l];
                value += x[j] * y[k] * along;
                by_place[0] += dx[j] * y[k] * along;
                by_place[1] += x[j] * dy[k] * along;
                by_place[2] += x[j] * y[k] * slope;
            }
        found.by_charge[i] = value - q[i] * self_potential(sigma_);
        for (int a = 0; a < 3; ++a)
            for (int axis = 0; axis < 3; ++axis)
                found.by_position[3 * i + a] += q[i] * by_place[axis] * sizes_[axis] * inverse_[3 * a + axis];
    }
    return found;
}

// Where the mesh points of a charge with these indices along x and y begin.
long Mesh::row_of(const int *first, int j, int k) const {
    const long at = (first[0] + j) % sizes_[0] * long(sizes_[1]) + (first[1] + k) % sizes_[1];
    return at * waves_->row() + first[2];
}

} // namespace reann
