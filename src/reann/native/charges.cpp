// Charges on a periodic mesh.
#include "bindings.hpp"

#include <algorithm>
#include <exception>
#include <utility>
#include <vector>

#include "splines.hpp"
#include "views.hpp"

namespace native {

using namespace nb::literals;

namespace {

// Charges on a mesh, and memory for the mesh.
struct Charges {
    reann::Splines splines;
    std::vector<double> mesh, work;

    explicit Charges(reann::Splines s)
        : splines(std::move(s)), mesh(size_t(splines.sizes[0]) * splines.sizes[1] * splines.sizes[2]),
          work(reann::convolution_work(splines.sizes)) {}
};

Charges charges_at(nb::handle places, nb::handle sizes, int order) {
    const View<const double> place("places", places, {-1, 3});
    const View<const int32_t> size("sizes", sizes, {3});
    try {
        return Charges(reann::splines_at(place.data(), place.length(), size.data(), order));
    } catch (const std::exception &error) {
        refuse(error.what());
    }
}

void filtered(Charges &charges, nb::handle values, nb::handle filter, nb::handle results) {
    const reann::Splines &s = charges.splines;
    const View<const double> q("q", values, {s.count});
    const View<const double> G("G", filter, {s.sizes[0], s.sizes[1], s.sizes[2] / 2 + 1});
    const View<double> sums("results", results, {s.count});
    nb::gil_scoped_release others_run;
    std::fill(charges.mesh.begin(), charges.mesh.end(), 0.0);
    reann::spreading().spread(s, q.data(), charges.mesh.data());
    reann::convolve()(s.sizes, G.data(), charges.mesh.data(), charges.work.data());
    reann::spreading().read(s, charges.mesh.data(), sums.data());
}

template <class T> View<T> mesh_of(const reann::Splines &s, nb::handle source) {
    return View<T>("mesh", source, {s.sizes[0], s.sizes[1], s.sizes[2]});
}

void spread(const Charges &charges, nb::handle values, nb::handle onto) {
    const reann::Splines &s = charges.splines;
    const View<const double> q("q", values, {s.count});
    const auto mesh = mesh_of<double>(s, onto);
    nb::gil_scoped_release others_run;
    reann::spreading().spread(s, q.data(), mesh.data());
}

void spread_rates(const Charges &charges, nb::handle values, nb::handle of_charges, nb::handle of_places,
                  nb::handle onto) {
    const reann::Splines &s = charges.splines;
    const View<const double> q("q", values, {s.count}), by_time("by_time", of_charges, {s.count});
    const View<const double> moved("moved", of_places, {s.count, 3});
    const auto mesh = mesh_of<double>(s, onto);
    nb::gil_scoped_release others_run;
    reann::spreading().spread_rates(s, q.data(), by_time.data(), moved.data(), mesh.data());
}

void read_values(const Charges &charges, nb::handle from, nb::handle results) {
    const reann::Splines &s = charges.splines;
    const auto mesh = mesh_of<const double>(s, from);
    const View<double> values("values", results, {s.count});
    nb::gil_scoped_release others_run;
    reann::spreading().read(s, mesh.data(), values.data());
}

void read_slopes(const Charges &charges, nb::handle from, nb::handle results, nb::handle along) {
    const reann::Splines &s = charges.splines;
    const auto mesh = mesh_of<const double>(s, from);
    const View<double> values("values", results, {s.count}), slopes("slopes", along, {s.count, 3});
    nb::gil_scoped_release others_run;
    reann::spreading().read_slopes(s, mesh.data(), values.data(), slopes.data());
}

} // namespace

void bind_charges(nb::module_ &m) {
    nb::class_<Charges>(m, "Charges")
        .def(nb::new_(&charges_at), "places"_a, "sizes"_a, "order"_a)
        .def_prop_ro("count", [](const Charges &charges) { return charges.splines.count; })
        .def("filtered", &filtered, "q"_a, "G"_a, "results"_a)
        .def("spread", &spread, "q"_a, "mesh"_a)
        .def("spread_rates", &spread_rates, "q"_a, "by_time"_a, "moved"_a, "mesh"_a)
        .def("read", &read_values, "mesh"_a, "values"_a)
        .def("read_slopes", &read_slopes, "mesh"_a, "values"_a, "slopes"_a);
}

} // namespace native
