#include "neighbors.hpp"

#include <algorithm>
#include <cmath>

#include "array.hpp"
#include "facts.hpp"

namespace reann {
namespace {

constexpr double farthest = 1e15;   // largest coordinate, in cutoffs: an index has 64 bits
constexpr double most_images = 2e9; // an index has 32 bits

double dot(const double *a, const double *b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

void cross(const double *a, const double *b, double *c) {
    c[0] = a[1] * b[2] - a[2] * b[1];
    c[1] = a[2] * b[0] - a[0] * b[2];
    c[2] = a[0] * b[1] - a[1] * b[0];
}

// A unit vector that is perpendicular to a, and to b if there is one.
void perpendicular(const double *a, const double *b, double *c) {
    const double axis[3] = {std::abs(a[0]) <= std::abs(a[1]) && std::abs(a[0]) <= std::abs(a[2]) ? 1.0 : 0.0,
                            std::abs(a[1]) < std::abs(a[0]) && std::abs(a[1]) <= std::abs(a[2]) ? 1.0 : 0.0,
                            std::abs(a[2]) < std::abs(a[0]) && std::abs(a[2]) < std::abs(a[1]) ? 1.0 : 0.0};
    cross(a, b ? b : axis, c);
    const double length = std::sqrt(dot(c, c));
    for (int k = 0; k < 3; ++k) c[k] /= length;
}

} // namespace

void NeighborList::build(const double *position, int64_t n_atoms, const double *cell,
                         const int32_t *periodic, double cutoff) {
    if (n_atoms < 0 || n_atoms > INT32_MAX || !(cutoff > 0.0) || !std::isfinite(cutoff))
        throw Error("The number of atoms or the cutoff is not valid.");
    for (int64_t i = 0; i < 3 * n_atoms; ++i)
        if (!(std::abs(position[i]) < farthest * cutoff))
            throw Error("The position of atom " + std::to_string(i / 3) +
                        " is not a finite number, or too large for one.");
    set_lattice(cell, periodic);
    write_images(position, n_atoms, cutoff);
    sort_into_bins(cutoff);
    search(n_atoms, cutoff);
}

// Rows of the reciprocal lattice: fractional coordinates are their products with a position. Cell vectors of
// directions that are not periodic are replaced by perpendicular vectors.
void NeighborList::set_lattice(const double *cell, const int32_t *periodic) {
    const double *known[3] = {nullptr, nullptr, nullptr};
    int n_known = 0;
    double lengths = 1.0;
    for (int d = 0; d < 3; ++d) {
        periodic_[d] = periodic[d] != 0;
        for (int k = 0; k < 3; ++k) cell_[3 * d + k] = periodic_[d] ? cell[3 * d + k] : 0.0;
        if (!periodic_[d]) continue;
        const double length = std::sqrt(dot(cell_ + 3 * d, cell_ + 3 * d));
        if (!(length > 0.0) || !std::isfinite(length))
            throw Error("The lattice vector of a periodic direction is zero or not finite.");
        lengths *= length;
        known[n_known++] = cell_ + 3 * d;
    }
    double full[9];
    for (int d = 0; d < 3; ++d) {
        if (periodic_[d]) {
            std::copy_n(cell_ + 3 * d, 3, full + 3 * d);
        } else if (n_known == 0) {
            for (int k = 0; k < 3; ++k) full[3 * d + k] = d == k ? 1.0 : 0.0;
        } else {
            perpendicular(known[0], n_known > 1 ? known[1] : nullptr, full + 3 * d);
            known[n_known++] = full + 3 * d;
        }
    }
    double volume = 0.0;
    for (int d = 0; d < 3; ++d) {
        cross(full + 3 * ((d + 1) % 3), full + 3 * ((d + 2) % 3), reciprocal_ + 3 * d);
        volume = dot(full + 3 * d, reciprocal_ + 3 * d);
    }
    if (!(std::abs(volume) > flattest_cell * lengths))
        throw Error("The periodic lattice vectors are linearly dependent: the cell is flat.");
    for (double &x : reciprocal_) x /= volume;
}

void NeighborList::write_images(const double *position, int64_t n_atoms, double cutoff) {
    wrapped_.resize(3 * n_atoms);
    wraps_.assign(3 * n_atoms, 0);
    images_.clear();
    double low[3] = {}, high[3] = {}, margin[3], expected = double(n_atoms);
    for (int d = 0; d < 3; ++d) { // number of cells within the cutoff
        const double *b = reciprocal_ + 3 * d;
        margin[d] = periodic_[d] ? cutoff * std::sqrt(dot(b, b)) + 1e-9 : 0.0;
        expected *= 1.0 + 2.0 * margin[d];
    }
    if (!(expected < most_images)) throw Error("The cell is too small for this cutoff.");
    for (int64_t i = 0; i < n_atoms; ++i) {
        double *own = &wrapped_[3 * i];
        std::copy_n(position + 3 * i, 3, own);
        for (int d = 0; d < 3; ++d) {
            if (!periodic_[d]) continue;
            const double cells = std::floor(dot(reciprocal_ + 3 * d, position + 3 * i));
            if (!(std::abs(cells) < 1e9))
                throw Error("Atom " + std::to_string(i) + " is too far from its cell.");
            wraps_[3 * i + d] = static_cast<int32_t>(cells);
            for (int k = 0; k < 3; ++k) own[k] -= cells * cell_[3 * d + k];
        }
        for (int k = 0; k < 3; ++k) {
            low[k] = i ? std::min(low[k], own[k]) : own[k];
            high[k] = i ? std::max(high[k], own[k]) : own[k];
        }
    }
    for (int64_t i = 0; i < n_atoms; ++i) {
        const double *own = &wrapped_[3 * i];
        int from[3] = {0, 0, 0}, to[3] = {0, 0, 0};
        for (int d = 0; d < 3; ++d) {
            if (!periodic_[d]) continue;
            const double fraction = dot(reciprocal_ + 3 * d, own);
            from[d] = static_cast<int>(std::ceil(-margin[d] - fraction));
            to[d] = static_cast<int>(std::floor(1.0 + margin[d] - fraction));
        }
        Image image;
        image.atom = static_cast<int32_t>(i);
        for (int a = from[0]; a <= to[0]; ++a)
            for (int b = from[1]; b <= to[1]; ++b)
                for (int c = from[2]; c <= to[2]; ++c) {
                    bool near = true;
                    for (int k = 0; k < 3; ++k) {
                        image.at[k] = own[k] + a * cell_[k] + b * cell_[3 + k] + c * cell_[6 + k];
                        near = near && image.at[k] >= low[k] - cutoff && image.at[k] <= high[k] + cutoff;
                    }
                    if (!near) continue;
                    image.n[0] = a;
                    image.n[1] = b;
                    image.n[2] = c;
                    images_.push_back(image);
                }
    }
}

// The first occupied slab of an axis at or above a coordinate.
int NeighborList::bin(double x, int axis) const {
    const std::vector<int64_t> &occupied = slabs_[axis];
    const int64_t slab = static_cast<int64_t>(std::floor(x / width_));
    return static_cast<int>(std::lower_bound(occupied.begin(), occupied.end(), slab) - occupied.begin());
}

// Bins are half a cutoff wide, or wider if atoms are so sparse that most bins would be empty. Slabs without
// atoms have no bins, so that a single distant atom costs nothing.
void NeighborList::sort_into_bins(double cutoff) {
    width_ = 0.5 * cutoff;
    for (double n = 0.0;; width_ *= 1.5) {
        for (int k = 0; k < 3; ++k) {
            slabs_[k].clear();
            for (const Image &image : images_)
                slabs_[k].push_back(static_cast<int64_t>(std::floor(image.at[k] / width_)));
            std::sort(slabs_[k].begin(), slabs_[k].end());
            slabs_[k].erase(std::unique(slabs_[k].begin(), slabs_[k].end()), slabs_[k].end());
            n_bins_[k] = static_cast<int>(slabs_[k].size());
        }
        n = double(n_bins_[0]) * n_bins_[1] * n_bins_[2];
        if (n <= std::max(64.0, 4.0 * double(images_.size()))) break;
    }
    start_.assign(int64_t(n_bins_[0]) * n_bins_[1] * n_bins_[2] + 1, 0);
    const auto bin_of = [this](const Image &image) {
        return (int64_t(bin(image.at[2], 2)) * n_bins_[1] + bin(image.at[1], 1)) * n_bins_[0] + bin(image.at[0], 0);
    };
    for (const Image &image : images_) ++start_[bin_of(image) + 1];
    for (size_t b = 1; b < start_.size(); ++b) start_[b] += start_[b - 1];
    sorted_.resize(images_.size());
    for (auto image = images_.rbegin(); image != images_.rend(); ++image)
        sorted_[--start_[bin_of(*image) + 1]] = *image; // the end of a bin becomes its start
    start_.erase(start_.begin());
    start_.push_back(int64_t(images_.size()));
    for (std::vector<double> *part : {&x_, &y_, &z_, &squared_}) part->resize(images_.size());
    for (size_t p = 0; p < sorted_.size(); ++p) {
        x_[p] = sorted_[p].at[0];
        y_[p] = sorted_[p].at[1];
        z_[p] = sorted_[p].at[2];
    }
}

void NeighborList::search(int64_t n_atoms, double cutoff) {
    first.assign(1, 0);
    neighbor.clear();
    shift.clear();
    crossed.clear();
    const double limit = cutoff * cutoff;
    double *squared = squared_.data();
    for (int64_t i = 0; i < n_atoms; ++i) {
        const double *own = &wrapped_[3 * i];
        const double x = own[0], y = own[1], z = own[2];
        int from[3], to[3];
        for (int k = 0; k < 3; ++k) {
            from[k] = bin(own[k] - cutoff, k);
            to[k] = bin(own[k] + cutoff + width_, k); // the first slab that is too far away
        }
        for (int bz = from[2]; bz < to[2]; ++bz)
            for (int by = from[1]; by < to[1]; ++by) {
                const int64_t row = (int64_t(bz) * n_bins_[1] + by) * n_bins_[0];
                const int64_t begin = start_[row + from[0]], end = start_[row + to[0]];
                for (int64_t p = begin; p < end; ++p) {
                    const double dx = x_[p] - x, dy = y_[p] - y, dz = z_[p] - z;
                    squared[p] = dx * dx + dy * dy + dz * dz;
                }
                for (int64_t p = begin; p < end; ++p) {
                    if (!(squared[p] < limit)) continue;
                    const Image &image = sorted_[p];
                    const bool itself = image.atom == i && !image.n[0] && !image.n[1] && !image.n[2];
                    if (itself) continue;
                    double along[3] = {0.0, 0.0, 0.0};
                    for (int d = 0; d < 3; ++d) {
                        const int n = image.n[d] - wraps_[3 * int64_t(image.atom) + d] + wraps_[3 * i + d];
                        crossed.push_back(n);
                        for (int k = 0; k < 3; ++k) along[k] += n * cell_[3 * d + k];
                    }
                    neighbor.push_back(image.atom);
                    shift.insert(shift.end(), along, along + 3);
                }
            }
        first.push_back(int64_t(neighbor.size()));
    }
}

} // namespace reann
