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

CoulombSlopes Mesh::slopes(const double *cell, const Charges &charges) {
    if (!std::equal(cell, cell + 9, cell_)) set_cell(cell);
    CoulombSlopes found(charges.n);
    place(charges);
    spread(charges);
    waves_->forward(mesh_.data());
    apply(found.by_strain);
    waves_->backward(mesh_.data());
    for (long at = 0; at < long(mesh_.size()); at += waves_->row())
        std::copy_n(&mesh_[at], order, &mesh_[at + sizes_[2]]);
    read(charges, found);
    return found;
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
        sizes[axis] = good_size(length * per_sigma / sigma_, order);
    }
    if (!waves_ || sizes != sizes_) {
        sizes_ = sizes;
        waves_ = std::make_unique<Waves>(world_, sizes, order);
        mesh_.resize(sizes[0] * sizes[1] * waves_->row());
        for (int axis = 0; axis < 3; ++axis) factors_[axis] = euler(sizes[axis], order);
    }
    G_.resize(sizes_[0] * (waves_->last() - waves_->first()));
    const double times = 4.0 * pi / volume_;
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

void Mesh::place(const Charges &charges) {
    weights_.resize(3 * order * charges.n);
    slopes_.resize(3 * order * charges.n);
    first_.resize(3 * charges.n);
    for (int64_t i = 0; i < charges.n; ++i)
        for (int axis = 0; axis < 3; ++axis) {
            double fraction = 0.0;
            for (int a = 0; a < 3; ++a) fraction += charges.position[3 * i + a] * inverse_[3 * a + axis];
            const int size = sizes_[axis];
            const double at = size * fraction, point = std::floor(at);
            const int64_t last = static_cast<int64_t>(point) - (order - 1);
            first_[3 * i + axis] = int((last % size + size) % size);
            splines(at - point, order, &weights_[(3 * i + axis) * order], &slopes_[(3 * i + axis) * order]);
        }
}

// Rows are longer than the mesh, so that the points of a charge are contiguous.
void Mesh::spread(const Charges &charges) {
    const long row = waves_->row();
    std::fill(mesh_.begin(), mesh_.end(), 0.0);
    for (int64_t i = 0; i < charges.n; ++i) {
        const int *first = &first_[3 * i];
        const double *x = &weights_[3 * order * i], *y = x + order, *z = y + order;
        for (int j = 0; j < order; ++j)
            for (int k = 0; k < order; ++k) {
                const long at = (first[0] + j) % sizes_[0] * sizes_[1] + (first[1] + k) % sizes_[1];
                const double part = charges.q[i] * x[j] * y[k];
                double *to = &mesh_[at * row + first[2]];
                for (int l = 0; l < order; ++l) to[l] += part * z[l];
            }
    }
    for (long at = 0; at < long(mesh_.size()); at += row)
        for (int l = 0; l < order; ++l) mesh_[at + l] += mesh_[at + sizes_[2] + l];
}

// S becomes G S, and gives the strain derivative 1/2 sum_k G |S|^2 [(2 / k^2 + sigma^2) k k - 1].
void Mesh::apply(double *by_strain) {
    const Complex S = waves_->S();
    const int half = sizes_[2] / 2;
    for_waves([&](long at, const int *n, const double *k, double k2) {
        const double twice = n[2] == 0 || n[2] == half ? 1.0 : 2.0; // for the opposite wave
        const double power = 0.5 * coulomb * twice * G_[at] * (S.re[at] * S.re[at] + S.im[at] * S.im[at]);
        const double along = k2 > 0.0 ? power * (2.0 / k2 + sigma_ * sigma_) : 0.0;
        for (int a = 0; a < 3; ++a) {
            for (int b = 0; b < 3; ++b) by_strain[3 * a + b] += along * k[a] * k[b];
            by_strain[4 * a] -= power;
        }
        S.re[at] *= G_[at];
        S.im[at] *= G_[at];
    });
}

void Mesh::read(const Charges &charges, CoulombSlopes &slopes) const {
    const long row = waves_->row();
    const double of_itself = std::sqrt(2.0 / pi) / sigma_;
    for (int64_t i = 0; i < charges.n; ++i) {
        const int *first = &first_[3 * i];
        const double *x = &weights_[3 * order * i], *y = x + order, *z = y + order;
        const double *dx = &slopes_[3 * order * i], *dy = dx + order, *dz = dy + order;
        double value = 0.0, by_place[3] = {};
        for (int j = 0; j < order; ++j)
            for (int k = 0; k < order; ++k) {
                const long at = (first[0] + j) % sizes_[0] * sizes_[1] + (first[1] + k) % sizes_[1];
                const double *from = &mesh_[at * row + first[2]];
                double along = 0.0, slope = 0.0;
                for (int l = 0; l < order; ++l) along += from[l] * z[l], slope += from[l] * dz[l];
                value += x[j] * y[k] * along;
                by_place[0] += dx[j] * y[k] * along;
                by_place[1] += x[j] * dy[k] * along;
                by_place[2] += x[j] * y[k] * slope;
            }
        slopes.by_charge[i] = coulomb * (value - charges.q[i] * of_itself);
        for (int a = 0; a < 3; ++a)
            for (int axis = 0; axis < 3; ++axis)
                slopes.by_position[3 * i + a] +=
                    coulomb * charges.q[i] * by_place[axis] * sizes_[axis] * inverse_[3 * a + axis];
    }
}

} // namespace reann
