#include "model.hpp"

#include <algorithm>

#include "facts.hpp"

namespace reann {

Model::Member::Member(const Settings &settings, const std::vector<Array> &arrays, int member, int lanes)
    : folded(settings, arrays, member, lanes), repulsion(folded.repulsion) {
    if (settings.float64)
        precise = std::make_unique<Packed<double>>(settings, folded);
    else
        single = std::make_unique<Packed<float>>(settings, folded);
}

Model::Model(const std::string &header, std::vector<Array> arrays)
    : settings_(parse_settings(header)), arrays_(std::move(arrays)) {
    const Level &l = level();
    const int lanes = settings_.float64 ? l.precise.lanes : l.single.lanes;
    for (int m = 0; m < settings_.n_members; ++m)
        members_.push_back(std::make_unique<Member>(settings_, arrays_, m, lanes));
    let_go();
    if (settings_.zbl) set_zbl();
    const std::vector<FoldedHead> &heads = members_.front()->folded.heads;
    const std::string needed = settings_.equilibrated ? "electronegativities" : "charges";
    const auto fits = [&](const FoldedHead &head) { return head.name == "output_heads." + needed && head.width == 1; };
    if (settings_.smearing > 0.0 && std::none_of(heads.begin(), heads.end(), fits))
        throw Error("The Coulomb energy of the model (model.long_range) needs " + needed + " of atoms in a form that "
                    "the C++ engine supports.");
}

const PairRepulsion *Model::repulsion(int member) const {
    return settings_.zbl || settings_.repulsion ? &members_[member]->repulsion : nullptr;
}

void Model::set_zbl() {
    for (int i : settings_.elements) {
        charge_.push_back(i);
        for (int j : settings_.elements) {
            const double contact = covalent_radii[i] + covalent_radii[j];
            inner_.push_back(std::min(settings_.zbl_inner * contact, zbl_largest_inner * settings_.cutoff));
            outer_.push_back(std::min(settings_.zbl_outer * contact, settings_.cutoff));
        }
    }
    for (const std::unique_ptr<Member> &member : members_) {
        member->repulsion.charge = charge_.data();
        member->repulsion.inner = inner_.data();
        member->repulsion.outer = outer_.data();
    }
}

void Model::update(const std::vector<Array> &arrays) {
    if (arrays.size() != arrays_.size())
        throw Error("The model was made from " + std::to_string(arrays_.size()) + " arrays, not from " +
                    std::to_string(arrays.size()) + ".");
    for (size_t a = 0; a < arrays.size(); ++a) {
        const Array &is = arrays[a], &was = arrays_[a];
        if (is.name != was.name || is.type != was.type || is.shape != was.shape)
            throw Error("The array " + is.name + " differs in name, type or shape from the array " +
                        was.name + " that the model was made from.");
    }
    for (size_t a = 0; a < arrays.size(); ++a) arrays_[a].data = arrays[a].data;
    for (const std::unique_ptr<Member> &member : members_) {
        member->folded.fold();
        if (member->precise) member->precise->fill();
        if (member->single) member->single->fill();
    }
    let_go();
}

void Model::let_go() {
    for (Array &array : arrays_) array.data = nullptr;
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
