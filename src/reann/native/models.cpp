// Opening a saved model, building one from arrays, and updating its weights in training.
#include <nanobind/stl/string.h>

#include "bindings.hpp"
#include "models.hpp"

namespace native {

using namespace nb::literals;

namespace {

Model open(const std::string &path) {
    reann_error error = {};
    Model result;
    result.model.reset(reann_open(path.c_str(), &error));
    if (!result.model) refuse(error.message);
    return result;
}

// Named arrays for the C interface, kept alive.
class Arrays {
    std::vector<ReadArray> arrays_;

  public:
    std::vector<reann_array> c;

    void add(const std::string &name, nb::handle source) { // `name` must outlive the array
        arrays_.push_back(take<ReadArray>(name, source));
        const ReadArray &array = arrays_.back();
        const bool is_float32 = array.dtype() == nb::dtype<float>();
        if (!is_float32 && array.dtype() != nb::dtype<double>())
            refuse(name + ": expected numbers of type float32 or float64");
        c.push_back({name.c_str(), is_float32 ? REANN_FLOAT32 : REANN_FLOAT64, int32_t(array.ndim()),
                     array.shape_ptr(), array.data()});
    }
    int64_t last_size() const { return int64_t(arrays_.back().size()); }
};

Model build(const std::string &header, const nb::dict &source) {
    Model result;
    for (auto [key, value] : source) result.names.push_back(nb::cast<std::string>(key));
    Arrays arrays;
    size_t a = 0;
    for (auto [key, value] : source) {
        arrays.add(result.names[a++], value);
        result.sizes.push_back(arrays.last_size());
    }
    reann_error error = {};
    result.model.reset(
        reann_build(header.c_str(), arrays.c.data(), int32_t(arrays.c.size()), &error));
    if (!result.model) refuse(error.message);
    return result;
}

// Keeps the global interpreter lock, so that no computation can begin.
void update(Model &model, const nb::dict &source) {
    Arrays arrays;
    for (const std::string &name : model.names) {
        const nb::str key(name.c_str());
        if (!source.contains(key)) refuse(name + ": missing");
        arrays.add(name, source[key]);
    }
    if (source.size() != model.names.size())
        refuse("arrays: names that are not those of the arrays the model was built from");
    const std::unique_lock<std::shared_mutex> alone(*model.use, std::try_to_lock);
    if (!alone) refuse("model: another thread is computing with it");
    reann_error error = {};
    if (!reann_update(model.model.get(), arrays.c.data(), int32_t(arrays.c.size()), &error))
        refuse(error.message);
}

} // namespace

void bind_models(nb::module_ &m) {
    nb::class_<Model>(m, "Model")
        .def(nb::new_(&build), "header"_a, "arrays"_a)
        .def_static("open", &open, "path"_a)
        .def("update", &update, "arrays"_a)
        .def_prop_ro("cutoff", [](const Model &m) { return reann_cutoff(m.model.get()); })
        .def_prop_ro("n_members", [](const Model &m) { return reann_n_members(m.model.get()); })
        .def_prop_ro("n_outputs", &Model::n_outputs);
    nb::class_<Workspace>(m, "Workspace").def(nb::init<>());
}

} // namespace native
