// Folded weights in the precision of the kernels, packed for their matrix products. The layout is made once;
// `fill` copies the numbers, and is called again when weights have changed.
#pragma once

#include <deque>

#include "fold.hpp"

namespace reann {

template <class Real> class Packed {
  public:
    Packed(const Settings &settings, const Folded &folded);
    Packed(const Packed &) = delete;

    void fill(); // copies the present folded weights
    const Weights<Real> &weights() const { return weights_; }

  private:
    // A part of the folded weights and its destination: in order, or packed for a matrix product.
    struct Part {
        const double *from;
        Real *to;
        int rows, columns;
        int64_t down, right;
        bool packed;
    };

    const Real *constants(int size, int ones);
    const Real *rows(const double *from, int n_rows, int columns, int stride);
    const Real *numbers(const Folded &folded, const Place &place);
    const Real *pack(const double *from, int n_rows, int columns, int64_t down, int64_t right);
    Linear<Real> linear(const Folded &folded, const Place &weight, const Place &bias);
    Range<Real> range(const Settings &settings, const Folded &folded);
    void density(const Settings &settings, const Folded &folded);
    void equivariant(const Settings &settings, const Folded &folded);
    EquivariantLayer<Real> equivariant_layer(const Settings &settings, const FoldedEquivariant &from,
                                             const Folded &folded);
    Neurons<Real> neurons(const Folded &folded, const FoldedLayer &layer, bool tanh_like, int columns);
    Network<Real> network(const Folded &folded, const FoldedNetwork &from, const NetworkSettings &form);

    std::deque<std::vector<Real>> memory_; // its elements never move
    std::vector<Part> parts_;
    std::deque<std::vector<Layer<Real>>> layers_;
    std::vector<Network<Real>> updates_, readout_;
    std::vector<Linear<Real>> mixing_, contractions_;
    std::deque<std::vector<Linear<Real>>> scalars_;
    std::deque<std::vector<Network<Real>>> networks_;
    std::vector<EquivariantLayer<Real>> equivariant_;
    std::vector<Output<Real>> outputs_;
    std::vector<KeptSizes> kept_;
    const Folded &folded_;
    std::vector<double> nothing_;
    std::vector<Real> scratch_;
    Weights<Real> weights_;
};

extern template class Packed<float>;
extern template class Packed<double>;

} // namespace reann
