// The full list of neighbors of a structure with any cell, including periodic images.
//
// Atoms are wrapped into the cell, all images within the cutoff are generated, and all are sorted into bins.
// Rows of bins are contiguous, so that many distances are computed at a time.
#pragma once

#include <cstdint>
#include <vector>

namespace reann {

class NeighborList {
  public:
    // Positions (atoms, 3) in Å may be outside the cell; cell rows of directions that are not periodic are
    // ignored. Throws `Error` for a position that is not finite and for an impossible cell.
    void build(const double *position, int64_t n_atoms, const double *cell, const int32_t *periodic,
               double cutoff);

    std::vector<int64_t> first;    // (atoms + 1)
    std::vector<int32_t> neighbor; // an atom is a neighbor of itself only with a shift
    std::vector<double> shift;     // (neighbors, 3) r_ij = position[j] - position[i] + shift
    std::vector<int32_t> crossed;  // (neighbors, 3), the shift in cells

  private:
    struct Image {
        double at[3];
        int32_t atom, n[3];
    };

    void set_lattice(const double *cell, const int32_t *periodic);
    void write_images(const double *position, int64_t n_atoms, double cutoff);
    void sort_into_bins(double cutoff);
    void search(int64_t n_atoms, double cutoff);
    int bin(double x, int axis) const;

    double cell_[9], reciprocal_[9];     // rows; of the periodic directions
    bool periodic_[3];
    std::vector<double> wrapped_;        // (atoms, 3)
    std::vector<int32_t> wraps_;         // (atoms, 3), cells between an atom and its wrapped position
    std::vector<Image> images_, sorted_; // wrapped atoms and their images
    double width_;                       // of a bin, Å
    std::vector<int64_t> slabs_[3];      // of bins; those with atoms, ascending
    int n_bins_[3];
    std::vector<int64_t> start_;         // of each bin in sorted_
    std::vector<double> x_, y_, z_, squared_;
};

} // namespace reann
