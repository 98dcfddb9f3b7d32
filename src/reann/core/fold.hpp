// Converts the parameters of a model to the weights of the kernels ("folding"), with its adjoint.
//
// The kernels have one kind of density, the products G^l_kk' of the moments. All linear operations between G
// and the first layer of a network are folded into that layer, and all constant factors into adjacent
// weights:
//
//     x_m   = (rho_m - mean_m) / scale_m                         standardization
//     rho   = A^T G:  gram      A_(l,kk'),m = sqrt(2 - delta_kk') at its own place
//                     orbitals  A_(l,kk'),m = (2 - delta_kk') d^l_km d^l_k'm
//     first = A (W / scale),    bias = b - mean (W / scale)
//     last  = W c_scale of an update, W s of the readout;   alpha = softplus(width)
//
// The algebra is exact, in double precision. `unfold` converts a gradient in the opposite direction. The
// settings alone determine where all numbers are stored; `fold` overwrites them when weights have changed.
#pragma once

#include <map>

#include "array.hpp"
#include "level.hpp"
#include "settings.hpp"

namespace reann {

// A matrix in a flat array; its rows are padded to whole vectors.
struct Place {
    int64_t at = -1; // -1: none
    int rows = 0, columns = 0, stride = 0;
};

struct FoldedLayer {
    Place a, b;                    // of the neurons before the linear map; -1: all are 1
    Place norm_weight, norm_bias;  // -1: no normalization
    Place weight, bias;
};

struct FoldedNetwork {
    Place first, first_bias;
    std::vector<FoldedLayer> layers; // of all blocks; the last one has the final neurons and `last`
};

// A layer of the equivariant recursion; see fold_equivariant.cpp.
struct FoldedEquivariant {
    Place radial, mixing[4], tensors[2], tensor_weights[2], linear;
    std::vector<Place> scalars, scalars_bias;    // (elements)
    std::vector<FoldedNetwork> gates, readout;   // (elements)
    std::vector<FoldedNetwork> outputs;          // (elements), of the last layer
    std::vector<double> low, high, per_width;    // range of x, (elements, channels)
};

// An output of each atom, 2l + 1 numbers; see fold_outputs.cpp.
struct FoldedOutput {
    int l = 0;
    Place weights;  // (layers, elements) rows of channels
    int column = 0; // its first result of the network of the last layer
};

// A head whose values are linear in its outputs; see fold_outputs.cpp.
struct FoldedHead {
    std::string name;
    int first = 0, width = 0; // its first output; numbers of a value: 1, 3 or 9
    const double *scale = nullptr, *of_elements = nullptr; // (1), (elements) or NULL

    // The value for an atom of an element, computed from all outputs of the atom.
    void value(int element, const double *outputs, double *to) const;

    // Adds the derivatives with respect to the outputs, from those with respect to the value.
    void adjoint(const double *bar, double *outputs_bar) const;
};

// The range of the features in the training data for each element: (elements, features). A feature is outside
// by max(low - x, x - high) * per_width, if this is positive.
struct FoldedRange {
    int n_features = 0;
    std::vector<double> low, high, per_width;
};

class Folded {
  public:
    // Throws `Error` if an array is missing or does not have the shape required by the settings.
    Folded(const Settings &settings, const std::vector<Array> &arrays, int member, int lanes);
    Folded(const Folded &) = delete;

    // Reads the numbers of the arrays again; no weight moves in memory.
    void fold();

    // Adds the derivatives with respect to array a, as they follow from `bar`, to gradients[a] unless it is
    // NULL.
    void unfold(const std::vector<double> &bar, double *const *gradients) const;

    std::vector<double> values;
    Place alpha, center, coefficients;
    Place vector, matrix; // contractions for products of many moments
    std::vector<Place> mixing; // of directional messages, (recursions * l_max)
    std::vector<FoldedNetwork> updates, readout; // (recursions * elements), (elements)
    std::vector<FoldedEquivariant> layers;       // of the equivariant recursion; empty without it
    std::vector<FoldedOutput> outputs;           // likewise
    int outputs_width = 0;                       // numbers of an atom
    std::vector<FoldedHead> heads;               // whose values follow from the outputs
    const double *log_hardness = nullptr;        // (elements) log of V/e, of equilibrated charges
    double basis_scale = 1.0;                    // of its radial basis
    double field_scale = 0.0;                    // Å/V, of its electric field
    std::vector<double> reference;               // e_Z in eV
    int reference_array = -1;                    // its index among the arrays
    int n_products = 0;                          // numbers in G, and products of many
    FoldedRange range;
    PairRepulsion repulsion; // of pairs closer than in the training data
    const double *contraction = nullptr; // d^l of the last recursion, (l, K, M); gram: NULL

  private:
    struct Raw {
        int array = -1;
        std::vector<double> values;
    };
    struct Factor { // of a matrix product; if transposed, its distances are swapped
        const double *data;
        int64_t down, right;
    };
    struct Copy { // values[at] = factor * raw; columns in groups, each padded to whole vectors
        const Raw &raw;
        int64_t from;
        Place place;
        const Raw *scale;           // the first number is used; NULL: 1
        int columns, group, padded; // of raw; of a group there and here
        int scale_at = 0;
        double times = 1.0;

        double factor() const { return scale ? times * scale->values[scale_at] : times; }

        int64_t at(int i, int k) const {
            return place.at + int64_t(i) * place.stride + k / group * padded + k % group;
        }
    };
    struct First {
        int t, element;
        const Raw &raw_weight, &raw_bias;
        Place weight, bias;
    };
    struct Start { // mixing of layer 0: V^l_(Z,n),c = sum_k W_nk c_Z^k M^l_kc times a number
        int l;
        const Raw &radial, &embedding, &mixing, &scale;
        Place place;
    };
    struct Output { // of the last layer: see fold_outputs.cpp
        int l, element;
        const Raw &a, &gates, &gates_bias;
        const Raw *tensors, *scale; // NULL for l = 0
        Place weight, bias;
        int column;

        int64_t at(int64_t row) const { // the bias is behind the last row of the weights
            return (row < weight.rows ? weight.at + row * weight.stride : bias.at) + column;
        }
    };
    struct Standardized { // U / sigma, and the bias -sum mean / sigma U
        int element, n_products;
        const Raw &scalars, &mean, &scale;
        Place weight, bias;
    };

    void density();
    void equivariant();
    void read_outputs();
    FoldedNetwork output_network(int element);
    std::vector<double> gates_of(const Output &output) const;
    std::vector<double> weights_of(const Output &output) const;
    double factor_of(const Output &output) const;
    void fold_outputs();
    void unfold_outputs(const std::vector<double> &bar, double *const *gradients) const;
    void read_heads();
    FoldedEquivariant equivariant_layer(int t);
    void fold_density();
    void fold_equivariant();
    void unfold_equivariant(const std::vector<double> &bar, double *const *gradients) const;
    void copy_into(const Place &place, const Raw &from, int64_t at, const Raw *scale = nullptr,
                   int scale_at = 0, double times = 1.0);
    const Raw &raw(const std::string &name, std::vector<int64_t> shape);
    bool has(const std::string &name) const;
    const double *of_pairs(const std::string &name);
    void read(Raw &raw) const;
    Place place(int rows, int columns);
    Place copy(const std::string &name, std::vector<int64_t> shape, int element,
               const Raw *scale = nullptr, int n_groups = 1);
    // A network of the density at `t`; with t < 0 the first layer, with `n_in_first` inputs, is copied.
    FoldedNetwork network(const std::string &name, const NetworkSettings &form, int element, int t,
                          int n_in_first, int n_out, const Raw *scale, int n_groups, bool biased);
    // The same without the weights of the last linear layer.
    FoldedNetwork hidden(const std::string &name, const NetworkSettings &form, int element, int t,
                         int n_in_first);
    void fold_first(const First &first);
    void fold_range();
    void unfold_first(const First &first, const std::vector<double> &bar,
                      double *const *gradients) const;
    std::vector<double> products_of_orbitals(int t) const; // A
    // C (rows, columns) = X (rows, depth) Y (depth, columns)
    static std::vector<double> product(const std::vector<double> &X, int rows, int depth,
                                       const Factor &Y, int columns);

    const Settings settings_;
    const std::vector<Array> &arrays_;
    const std::string prefix_;
    const int lanes_;
    int n_features_ = 0; // of the model: products or orbitals
    std::vector<double> root_; // gram: sqrt(2 - delta_kk') of each product; orbitals: 1
    std::map<std::string, Raw> raws_;
    int stride_ = 0; // channels of the equivariant recursion, padded
    int output_columns_ = 0; // results of the networks of outputs of the last layer
    const Raw *width_ = nullptr, *contraction_ = nullptr, *reference_ = nullptr;
    const Raw *mean_ = nullptr, *scale_ = nullptr, *least_ = nullptr, *most_ = nullptr; // of features
    std::vector<Copy> copies_;
    std::vector<First> firsts_;
    std::vector<Start> starts_;
    std::vector<Standardized> standardized_;
    std::vector<Output> last_outputs_;
    const Raw *basis_scale_ = nullptr, *field_scale_ = nullptr;
};

} // namespace reann
