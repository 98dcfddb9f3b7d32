// A model: its settings, and the weights of its members in the precision of its networks.
#pragma once

#include <memory>

#include "packed.hpp"

namespace reann {

class Model {
  public:
    // `header`: the JSON object of a file. Throws `Error` if it does not describe the arrays.
    Model(const std::string &header, std::vector<Array> arrays);

    // Replaces the numbers by those of arrays with the same names, types and shapes, in the same order; the
    // model is then the same as if it had been made from them. Throws `Error` and does not change if the
    // arrays do not match. No thread may compute with the model meanwhile.
    void update(const std::vector<Array> &arrays);

    const Settings &settings() const { return settings_; }
    const std::vector<Array> &arrays() const { return arrays_; } // names and shapes, no data
    const Folded &folded(int member) const { return members_[member]->folded; }
    template <class Real> const Packed<Real> &packed(int member) const;
    const PairRepulsion *repulsion(int member) const; // NULL: none
    int element(int atomic_number) const; // -1: unknown

  private:
    struct Member {
        Folded folded;
        PairRepulsion repulsion;
        std::unique_ptr<Packed<float>> single;
        std::unique_ptr<Packed<double>> precise;

        Member(const Settings &settings, const std::vector<Array> &arrays, int member, int lanes);
    };

    void let_go(); // the arrays of the caller
    void set_zbl();

    Settings settings_;
    std::vector<Array> arrays_;
    std::vector<std::unique_ptr<Member>> members_;
    std::vector<double> charge_, inner_, outer_; // of the screened nuclear repulsion
};

} // namespace reann
