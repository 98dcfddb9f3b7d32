// Folded weights in the precision of the kernels, packed for their matrix products.
#pragma once

#include <deque>

#include "fold.hpp"

namespace reann {

template <class Real> class Packed {
  public:
    Packed(const Settings &settings, const Folded &folded);
    Packed(const Packed &) = delete;

    const Weights<Real> &weights() const { return weights_; }

  private:
    const Real *numbers(const std::vector<double> &values);
    const Real *numbers(const Folded &folded, const Place &place);
    Linear<Real> linear(const Folded &folded, const Place &weight, const Place &bias);
    Neurons<Real> neurons(const Folded &folded, const FoldedLayer &layer, bool tanh_like, int columns);
    Network<Real> network(const Folded &folded, const FoldedNetwork &from, const NetworkSettings &form);

    std::deque<std::vector<Real>> memory_; // its elements never move
    std::deque<std::vector<Layer<Real>>> layers_;
    std::vector<Network<Real>> updates_, readout_;
    std::vector<Linear<Real>> mixing_;
    std::vector<double> nothing_;
    Weights<Real> weights_;
};

extern template class Packed<float>;
extern template class Packed<double>;

} // namespace reann
