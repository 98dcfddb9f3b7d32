// From the parameters of a model to the weights of the kernels, and the adjoint of that.
//
// The kernels know one density, the products G^l_kk' of the moments. Everything linear between G and
// the first layer of a network folds into that layer, and every constant factor into its neighbor:
//
//     x_m   = (rho_m - mean_m) / scale_m                         standardization
//     rho   = A^T G:  gram      A_(l,kk'),m = sqrt(2 - delta_kk') at its own place
//                     orbitals  A_(l,kk'),m = (2 - delta_kk') d^l_km d^l_k'm
//     first = A (W / scale),    bias = b - mean (W / scale)
//     last  = W c_scale of an update, W s of the readout;   alpha = softplus(width)
//
// Exact algebra, in double precision. `unfold` carries a gradient the other way.
#pragma once

#include <map>

#include "array.hpp"
#include "level.hpp"
#include "settings.hpp"

namespace reann {

// A matrix in one flat array, its rows padded to whole vectors.
struct Place {
    int64_t at = -1; // -1: there is none
    int rows = 0, columns = 0, stride = 0;
};

struct FoldedLayer {
    Place a, b;                    // of the neurons before the linear map; -1: ones
    Place norm_weight, norm_bias;  // -1: no normalization
    Place weight, bias;
};

struct FoldedNetwork {
    Place first, first_bias;
    std::vector<FoldedLayer> layers; // of all blocks; the last holds the final neurons and `last`
};

class Folded {
  public:
    // Throws `Error` if an array is missing or has not the shape that the settings say.
    Folded(const Settings &settings, const std::vector<Array> &arrays, int member, int lanes);

    // Adds to gradients[a] of array a, unless it is NULL, what `bar` means for it.
    void unfold(const std::vector<double> &bar, double *const *gradients) const;

    std::vector<double> values;
    Place alpha, center, coefficients;
    Place vector, matrix; // contractions for products of many moments
    std::vector<Place> mixing; // of directional messages, (recursions * l_max)
    std::vector<FoldedNetwork> updates, readout; // (recursions * elements), (elements)
    std::vector<double> reference;               // e_Z in eV
    int reference_array = -1;                    // where it stands among the arrays
    int n_products = 0;                          // numbers in G, and products of many

  private:
    struct Raw {
        int array = -1;
        std::vector<double> values;
    };
    struct Copy { // values[at] = factor * raw; columns in groups, each padded to whole vectors
        int array;
        int64_t from;
        Place place;
        double factor;
        int columns, group, padded; // of raw; of a group there and here

        int64_t at(int i, int k) const {
            return place.at + int64_t(i) * place.stride + k / group * padded + k % group;
        }
    };
    struct First {
        int t, element;
        std::string network;
        Place weight, bias;
    };

    const Raw &raw(const std::string &name, std::vector<int64_t> shape);
    Place place(int rows, int columns);
    Place copy(const std::string &name, std::vector<int64_t> shape, int element, double factor = 1.0,
               int n_groups = 1);
    FoldedNetwork network(const std::string &name, const NetworkSettings &form, int element, int t,
                          int n_out, double factor, int n_groups = 1);
    void fold_first(const First &first);
    void unfold_first(const First &first, const std::vector<double> &bar,
                      double *const *gradients) const;
    std::vector<double> products_of_orbitals(int t) const; // A

    const Settings settings_;
    const std::vector<Array> &arrays_;
    const std::string prefix_;
    const int lanes_;
    int n_features_ = 0; // of the model: products or orbitals
    std::vector<double> root_; // gram: sqrt(2 - delta_kk') of each product; orbitals: 1
    std::map<std::string, Raw> raws_;
    std::vector<Copy> copies_;
    std::vector<First> firsts_;
};

} // namespace reann
