// Quantities of atoms for `fix pair`. Computed only when requested: the standard deviation of the forces of an
// ensemble, and the distance of an atom from the range of the training data. In every step: charges.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "atom.h"
#include "pair_reann.h"

using namespace LAMMPS_NS;

// The standard deviation of the forces of the members, from |F - mean| of each atom. Forces on ghosts must be
// added to those of their owners before the comparison.
void PairReann::add_spread() {
    const size_t size = 3 * atom_.size(), members = reann_n_members(model_);
    for (size_t m = 0; m < members; ++m) exchange(of_members_.data() + size * m, 3, false);
    for (int64_t r = 0; r < n_local_; ++r) {
        double squares = 0.0;
        for (int a = 0; a < 3; ++a) {
            double mean = 0.0, square = 0.0;
            for (size_t m = 0; m < members; ++m) mean += of_members_[size * m + 3 * r + a];
            mean /= members;
            for (size_t m = 0; m < members; ++m) {
                const double off = of_members_[size * m + 3 * r + a] - mean;
                square += off * off;
            }
            squares += square / (members - 1);
        }
        spread_[atom_[r]] = unit_ * std::sqrt(squares);
    }
}

// For an ensemble, the largest value of its members.
void PairReann::take_extrapolation() {
    for (int64_t r = 0; r < n_local_; ++r) {
        double &most = extrapolation_[atom_[r]];
        most = std::max(most, of_member_[r]);
    }
}

// `fix pair` sets the flag of the quantity that it needs before the forces are computed.
void *PairReann::extract(const char *name, int &dimensions) {
    dimensions = 0;
    if (!std::strcmp(name, "spread_flag")) return &spread_flag_;
    if (!std::strcmp(name, "extrapolation_flag")) return &extrapolation_flag_;
    return nullptr;
}

void *PairReann::extract_peratom(const char *name, int &columns) {
    columns = 0;
    if (!std::strcmp(name, "spread")) return spread_.data();
    if (!std::strcmp(name, "extrapolation")) return extrapolation_.data();
    if (!std::strcmp(name, "charge") && has_coulomb()) return charge_.data();
    return nullptr;
}
