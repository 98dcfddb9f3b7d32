// Neighbor lists.
#include "bindings.hpp"
#include "models.hpp"

namespace native {

using namespace nb::literals;

namespace {

// The list in memory of its own, which is freed with the last of the arrays.
nb::tuple neighbors(nb::handle position, nb::handle cell, nb::handle periodic, double reach) {
    const View<const double> p("position", position, {-1, 3});
    const View<const double> c("cell", cell, {3, 3});
    const View<const int32_t> along("periodic", periodic, {3});
    const int64_t n = p.length();
    auto *workspace = new Workspace;
    const nb::object owner = nb::cast(workspace, nb::rv_policy::take_ownership);
    reann_list list = {};
    reann_error error = {};
    int done = 0;
    {
        nb::gil_scoped_release others_run;
        done = reann_neighbors(workspace->workspace.get(), p.data(), n, c.data(), along.data(),
                               reach, &list, &error);
    }
    if (!done) refuse(error.message);
    const size_t found = size_t(list.first[n]);
    const auto array = [&owner](const auto *data, std::initializer_list<size_t> shape) {
        using T = std::remove_const_t<std::remove_pointer_t<decltype(data)>>;
        return nb::cast(nb::ndarray<nb::numpy, T>(const_cast<T *>(data), shape, owner));
    };
    return nb::make_tuple(array(list.first, {size_t(n) + 1}), array(list.neighbor, {found}),
                          array(list.shift, {found, 3}), array(list.crossed, {found, 3}));
}

} // namespace

void bind_neighbors(nb::module_ &m) {
    m.def("neighbors", &neighbors, "position"_a, "cell"_a, "periodic"_a, "reach"_a);
}

} // namespace native
