// The atoms of the pair style as rows, local ones first, and the exchange of their numbers between owners and
// ghosts.

#include <algorithm>

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "pair_reann.h"
#include "update.h"

using namespace LAMMPS_NS;

// Whether an atom belongs to this style. An atom that is excluded from all interactions, as when fix gcmc
// attempts a deletion, counts as deleted: it has no energy, not even that of a free atom.
bool PairReann::of_style(int i) const {
    if (element_of_type_[atom->type[i]] < 0) return false;
    constexpr int all = 0;
    for (int k = 0; k < neighbor->nex_group; ++k) {
        if (neighbor->ex2_group[k] == all && (atom->mask[i] & neighbor->ex1_bit[k])) return false;
        if (neighbor->ex1_group[k] == all && (atom->mask[i] & neighbor->ex2_bit[k])) return false;
    }
    return true;
}

// Whether the rows still agree with the atoms: their number, and which of them belong to this style.
bool PairReann::fits() const {
    bool same = row_.size() == size_t(atom->nlocal + atom->nghost);
    for (size_t i = 0; same && i < row_.size(); ++i)
        same = (row_[i] >= 0) == of_style(static_cast<int>(i));
    return same;
}

// Whether the last computation was for the present atoms and positions, which may change between runs.
bool PairReann::current() const {
    bool same = computed_ == update->ntimestep && comm_ == comm && fits();
    for (size_t r = 0; same && r < atom_.size(); ++r)
        same = std::equal(&position_[3 * r], &position_[3 * r] + 3, atom->x[atom_[r]]);
    return same;
}

void PairReann::require_current(const char *what) const {
    int mine = current(), all = 0;
    MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_MIN, world);
    if (!all)
        error->all(FLERR, "pair_style reann has no results for these atoms at step {}: request {} during a "
                          "run, or after `run 0`", update->ntimestep, what);
}

// Makes rows and neighbors after every change of the neighbor list.
void PairReann::lay_out() {
    const int n = atom->nlocal + atom->nghost;
    atom_.clear();
    row_.assign(n, -1);
    for (int i = 0; i < n; ++i) {
        if (i == atom->nlocal) n_local_ = static_cast<int64_t>(atom_.size());
        if (!of_style(i)) continue;
        row_[i] = static_cast<int32_t>(atom_.size());
        atom_.push_back(i);
    }
    if (atom->nghost == 0) n_local_ = static_cast<int64_t>(atom_.size());

    // The list of a hybrid style may lack atoms and may have another order.
    std::vector<bool> listed(n_local_, false);
    for (int ii = 0; ii < list->inum; ++ii)
        if (const int32_t r = row_[list->ilist[ii]]; r >= 0) listed[r] = true;
    neighbor_.clear();
    first_.assign(1, 0);
    for (int64_t r = 0; r < n_local_; ++r) {
        const int i = atom_[r], n_neighbors = listed[r] ? list->numneigh[i] : 0;
        for (int jj = 0; jj < n_neighbors; ++jj) {
            const int32_t j = row_[list->firstneigh[i][jj] & NEIGHMASK];
            if (j >= 0) neighbor_.push_back(j);
        }
        first_.push_back(static_cast<int64_t>(neighbor_.size()));
    }
    // One more than needed: without atoms, pointers must not be NULL, because the engine takes NULL as not
    // requested.
    element_.resize(atom_.size());
    position_.resize(3 * atom_.size() + 1);
    forces_.resize(3 * atom_.size() + 1);
    energies_.resize(n_local_ + 1);
    spread_.assign(n + 1, 0.0); // NULL would tell `fix pair` that the name is unknown
    extrapolation_.assign(n + 1, 0.0);
    charge_.assign(n + 1, 0.0);
}

reann_system PairReann::rows() {
    reann_system system = {};
    system.n_local = n_local_;
    system.n_atoms = static_cast<int64_t>(atom_.size());
    system.element = element_.data();
    system.position = position_.data();
    system.first = first_.data();
    system.neighbor = neighbor_.data();
    system.n_systems = 1;
    system.field = field_.empty() ? nullptr : field_.data();
    system.n_threads = 1;
    system.forward = forward;
    system.reverse = reverse;
    system.context = this;
    return system;
}

// --- exchange between owners and ghosts -------------------------------------------------------------

int PairReann::forward(void *pair, double *values, int32_t width) {
    static_cast<PairReann *>(pair)->exchange(values, width, true);
    return 1;
}

int PairReann::reverse(void *pair, double *values, int32_t width) {
    static_cast<PairReann *>(pair)->exchange(values, width, false);
    return 1;
}

void PairReann::exchange(double *values, int width, bool forward) {
    values_ = values;
    width_ = width;
    for (column_ = 0; column_ < width; column_ += at_once) {
        columns_ = std::min(at_once, width - column_);
        if (forward)
            comm->forward_comm(this, columns_);
        else
            comm->reverse_comm(this, columns_);
    }
}

int PairReann::pack_forward_comm(int n, int *list, double *buffer, int, int *) {
    for (int k = 0; k < n; ++k) {
        const int32_t row = row_[list[k]];
        for (int c = 0; c < columns_; ++c)
            *buffer++ = row < 0 ? 0.0 : values_[int64_t(row) * width_ + column_ + c];
    }
    return n * columns_;
}

void PairReann::unpack_forward_comm(int n, int first, double *buffer) {
    for (int k = 0; k < n; ++k, buffer += columns_)
        if (const int32_t row = row_[first + k]; row >= 0)
            std::copy_n(buffer, columns_, &values_[int64_t(row) * width_ + column_]);
}

int PairReann::pack_reverse_comm(int n, int first, double *buffer) {
    for (int k = 0; k < n; ++k) {
        const int32_t row = row_[first + k];
        for (int c = 0; c < columns_; ++c)
            *buffer++ = row < 0 ? 0.0 : values_[int64_t(row) * width_ + column_ + c];
    }
    return n * columns_;
}

void PairReann::unpack_reverse_comm(int n, int *list, double *buffer) {
    for (int k = 0; k < n; ++k, buffer += columns_)
        if (const int32_t row = row_[list[k]]; row >= 0)
            for (int c = 0; c < columns_; ++c)
                values_[int64_t(row) * width_ + column_ + c] += buffer[c];
}
