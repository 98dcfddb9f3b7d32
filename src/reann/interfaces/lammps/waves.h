// The Fourier transform of a real mesh whose planes and waves are divided among ranks.
#pragma once

#include <array>
#include <vector>

#include <mpi.h>

#include "planes.hpp"

namespace reann {

class Waves {
  public:
    // `sizes`: even numbers of mesh points along the three lattice vectors.
    Waves(MPI_Comm world, std::array<int, 3> sizes);

    // S[k] = sum of mesh[x] exp(-i k x) over the meshes of all ranks, each of these sizes.
    void forward(const double *mesh);

    // mesh[x] = sum over k of S[k] exp(i k x), on all ranks; S is destroyed.
    void backward(double *mesh);

    // S of this rank for all numbers n[0] of the first lattice vector, and for columns `first` to `last` of
    // n[1] * half() + n[2], where n[2] <= sizes[2] / 2: (sizes[0], last - first).
    Complex S() { return {re_.data(), im_.data()}; }
    long first() const { return columns_[rank_]; }
    long last() const { return columns_[rank_ + 1]; }
    int half() const { return sizes_[2] / 2 + 1; }

  private:
    void exchange(bool forward);
    Complex plane(int x);

    MPI_Comm world_;
    std::array<int, 3> sizes_;
    int rank_, n_ranks_;
    std::vector<double> tables_; // of the transforms
    Fourier x_;
    Planes of_planes_;
    std::vector<long> planes_, columns_;   // where those of each rank begin
    std::vector<int> mesh_counts_, mesh_starts_, sent_, sent_from_, received_, received_at_;
    std::vector<double> slab_;             // planes of this rank
    std::vector<double> plane_re_, plane_im_; // their transforms, (planes, columns)
    std::vector<double> re_, im_;          // (sizes[0], columns of this rank)
    std::vector<double> work_re_, work_im_, part_re_, part_im_;
};

} // namespace reann
