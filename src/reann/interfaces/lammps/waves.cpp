// Each rank transforms its planes along z and y, and, after an exchange, its columns along x.

#include "waves.h"

#include <algorithm>
#include <utility>

namespace reann {
namespace {

std::vector<long> shares(long n, int n_ranks) {
    std::vector<long> begin;
    for (int r = 0; r <= n_ranks; ++r) begin.push_back(n * r / n_ranks);
    return begin;
}

} // namespace

Waves::Waves(MPI_Comm world, std::array<int, 3> sizes)
    : world_(world), sizes_(sizes), tables_(2 * (sizes[0] + sizes[1]) + 3 * sizes[2]), x_(sizes[0], tables_.data()),
      of_planes_(sizes[1], sizes[2], tables_.data() + 2 * sizes[0]) {
    MPI_Comm_rank(world, &rank_);
    MPI_Comm_size(world, &n_ranks_);
    const long n_columns = long(sizes[1]) * half();
    planes_ = shares(sizes[0], n_ranks_);
    columns_ = shares(n_columns, n_ranks_);
    const long n_planes = planes_[rank_ + 1] - planes_[rank_], own = last() - first();
    for (int r = 0; r < n_ranks_; ++r) {
        mesh_counts_.push_back(int((planes_[r + 1] - planes_[r]) * sizes[1] * sizes_[2]));
        mesh_starts_.push_back(int(planes_[r] * sizes[1] * sizes_[2]));
        sent_.push_back(int(n_planes * (columns_[r + 1] - columns_[r])));
        sent_from_.push_back(int(n_planes * columns_[r]));
        received_.push_back(int((planes_[r + 1] - planes_[r]) * own));
        received_at_.push_back(int(planes_[r] * own));
    }
    slab_.resize(mesh_counts_[rank_] + 1);
    for (std::vector<double> *part : {&plane_re_, &plane_im_}) part->resize(n_planes * n_columns + 1);
    for (std::vector<double> *part : {&re_, &im_}) part->resize(sizes[0] * own + 1);
    const long most = std::max(n_columns, std::max(sizes[0] * own, n_planes * n_columns)) + 1;
    for (std::vector<double> *part : {&work_re_, &work_im_, &part_re_, &part_im_}) part->resize(most);
}

Complex Waves::plane(int x) {
    const long n_columns = long(sizes_[1]) * half();
    return {&plane_re_[x * n_columns], &plane_im_[x * n_columns]};
}

void Waves::forward(const double *mesh) {
    const Complex part = {part_re_.data(), part_im_.data()}, work = {work_re_.data(), work_im_.data()};
    MPI_Reduce_scatter(mesh, slab_.data(), mesh_counts_.data(), MPI_DOUBLE, MPI_SUM, world_);
    for (int x = 0; x < planes_[rank_ + 1] - planes_[rank_]; ++x)
        of_planes_.forward(&slab_[x * sizes_[1] * sizes_[2]], plane(x), part, work);
    exchange(true);
    x_.forward(S(), last() - first(), work);
}

void Waves::backward(double *mesh) {
    const Complex part = {part_re_.data(), part_im_.data()}, work = {work_re_.data(), work_im_.data()};
    x_.backward(S(), last() - first(), work);
    exchange(false);
    for (int x = 0; x < planes_[rank_ + 1] - planes_[rank_]; ++x)
        of_planes_.backward(plane(x), &slab_[x * sizes_[1] * sizes_[2]], part, work);
    MPI_Allgatherv(slab_.data(), mesh_counts_[rank_], MPI_DOUBLE, mesh, mesh_counts_.data(), mesh_starts_.data(),
                   MPI_DOUBLE, world_);
}

// From all columns of the planes of this rank to all planes of its columns, or back.
void Waves::exchange(bool forward) {
    const long n_columns = columns_.back(), n_planes = planes_[rank_ + 1] - planes_[rank_];
    for (const auto &[plane, own] : {std::pair(&plane_re_, &re_), std::pair(&plane_im_, &im_)}) {
        if (!forward)
            MPI_Alltoallv(own->data(), received_.data(), received_at_.data(), MPI_DOUBLE, work_re_.data(),
                          sent_.data(), sent_from_.data(), MPI_DOUBLE, world_);
        for (int r = 0; r < n_ranks_; ++r) {
            const long width = columns_[r + 1] - columns_[r];
            for (long x = 0; x < n_planes; ++x) {
                double *packed = &work_re_[sent_from_[r] + x * width];
                double *unpacked = &(*plane)[x * n_columns + columns_[r]];
                if (forward) std::copy_n(unpacked, width, packed);
                else std::copy_n(packed, width, unpacked);
            }
        }
        if (forward)
            MPI_Alltoallv(work_re_.data(), sent_.data(), sent_from_.data(), MPI_DOUBLE, own->data(),
                          received_.data(), received_at_.data(), MPI_DOUBLE, world_);
    }
}

} // namespace reann
