#include "model.hpp"

#include <algorithm>

#include "elements.hpp"

namespace reann {

Model::Model(const std::string &header, std::vector<Array> arrays)
    : settings_(parse_settings(header)), arrays_(std::move(arrays)) {
    const Level &l = level();
    const int lanes = settings_.float64 ? l.precise.lanes : l.single.lanes;
    for (int m = 0; m < settings_.n_members; ++m) {
        members_.push_back(std::unique_ptr<Member>(
            new Member{Folded(settings_, arrays_, m, lanes), nullptr, nullptr}));
        Member &member = *members_.back();
        if (settings_.float64)
            member.precise = std::make_unique<Packed<double>>(settings_, member.folded);
        else
            member.single = std::make_unique<Packed<float>>(settings_, member.folded);
    }
    for (Array &array : arrays_) array.data = nullptr;
    if (!settings_.zbl) return;
    for (int i : settings_.elements) {
        charge_.push_back(i);
        for (int j : settings_.elements) {
            const double contact = covalent_radii[i] + covalent_radii[j];
            inner_.push_back(std::min(settings_.zbl_inner * contact, 0.9 * settings_.cutoff));
            outer_.push_back(std::min(settings_.zbl_outer * contact, settings_.cutoff));
        }
    }
    zbl_ = {static_cast<int>(charge_.size()), charge_.data(), inner_.data(), outer_.data()};
}

template <> const Packed<float> &Model::packed<float>(int member) const {
    return *members_[member]->single;
}

template <> const Packed<double> &Model::packed<double>(int member) const {
    return *members_[member]->precise;
}

int Model::element(int atomic_number) const {
    const auto &known = settings_.elements;
    const auto found = std::find(known.begin(), known.end(), atomic_number);
    return found == known.end() ? -1 : static_cast<int>(found - known.begin());
}

} // namespace reann
