// Gradients with respect to the arrays of a model: of a loss, and of curvatures of the energy.
#include <nanobind/stl/string.h>

#include "bindings.hpp"
#include "seeds.hpp"
#include "systems.hpp"

namespace native {

using namespace nb::literals;

namespace {

// The arrays to which gradients are added, for some of the arrays from which the model was built.
struct Gradients {
    std::vector<WriteArray> arrays; // keeps the numbers alive
    std::vector<double *> pointers; // of all arrays; NULL: not needed

    Gradients(const Model &model, const nb::dict &gradients) : pointers(model.names.size(), nullptr) {
        for (size_t a = 0; a < model.names.size(); ++a) {
            const nb::str name(model.names[a].c_str());
            if (!gradients.contains(name)) continue;
            arrays.push_back(take<WriteArray>(model.names[a], gradients[name]));
            const WriteArray &array = arrays.back();
            if (array.dtype() != nb::dtype<double>() || int64_t(array.size()) != model.sizes[a])
                refuse(model.names[a] + ": expected " + std::to_string(model.sizes[a]) +
                       " numbers of type float64");
            pointers[a] = static_cast<double *>(array.data());
        }
        if (arrays.size() != gradients.size())
            refuse("gradients: names that are not those of the arrays the model was built from");
    }
};

void gradient(const Model &model, int32_t member, Workspace &workspace, nb::handle element,
              nb::handle position, nb::handle first, nb::handle neighbor, nb::handle shift,
              nb::handle system, int64_t n_systems, int32_t n_threads, nb::handle energies,
              nb::handle forces, nb::handle virial, const nb::dict &gradients, nb::handle outputs,
              nb::handle dipole, nb::handle field, nb::handle slopes, nb::handle function,
              nb::handle energy_slopes) {
    const System s(element, position, first, neighbor, shift, system, n_systems, n_threads, field);
    const auto e = view_or_none<const double>("energies", energies, {s.n_atoms});
    const auto f = view_or_none<const double>("forces", forces, {s.n_atoms, 3});
    const auto w = view_or_none<const double>("virial", virial, {s.n_systems, 3, 3});
    const auto y = view_or_none<const double>("outputs", outputs, {s.n_atoms, model.n_outputs()});
    const auto mu = view_or_none<const double>("dipole", dipole, {s.n_systems, 3});
    const auto p = view_or_none<const double>("slopes", slopes, {s.n_atoms, model.n_outputs()});
    Seeds seeds{function, size_t(s.n_atoms), size_t(model.n_outputs())};
    const auto factors = view_or_none<const double>("energy_slopes", energy_slopes, {s.n_atoms});
    const auto call = function.is_none() ? nullptr : &Seeds::call;
    const reann_loss loss = {e.data(), f.data(), w.data(), y.data(), mu.data(),
                             p.data(), call,     &seeds,   factors.data()};
    const Gradients of(model, gradients);
    compute_with(seeds, model, workspace, [&](reann_workspace *memory, reann_error *error) {
        return reann_gradient(model.model.get(), member, memory, &s.c, &loss, of.pointers.data(), error);
    });
}

void curvature_gradient(const Model &model, int32_t member, Workspace &workspace, nb::handle element,
                        nb::handle position, nb::handle first, nb::handle neighbor, nb::handle shift,
                        nb::handle system, int64_t n_systems, int32_t n_threads, nb::handle field,
                        nb::handle velocity, nb::handle directions, nb::handle weights,
                        const nb::dict &gradients) {
    const System s(element, position, first, neighbor, shift, system, n_systems, n_threads, field);
    const auto v = view_or_none<const double>("velocity", velocity, {s.n_atoms, 3});
    const View<const double> n("directions", directions, {s.n_systems, 3}), w("weights", weights, {s.n_systems});
    const Gradients of(model, gradients);
    compute(model, workspace, [&](reann_workspace *memory, reann_error *error) {
        return reann_curvature_gradient(model.model.get(), member, memory, &s.c, v.data(), n.data(), w.data(),
                                        of.pointers.data(), error);
    });
}

} // namespace

void bind_training(nb::module_ &m) {
    m.def("gradient", &gradient, "model"_a, "member"_a, "workspace"_a, "element"_a, "position"_a,
          "first"_a, "neighbor"_a, "shift"_a.none(), "system"_a.none(), "n_systems"_a,
          "n_threads"_a, "energies"_a.none(), "forces"_a.none(), "virial"_a.none(), "gradients"_a,
          "outputs"_a.none() = nb::none(), "dipole"_a.none() = nb::none(),
          "field"_a.none() = nb::none(), "slopes"_a.none() = nb::none(), "seeds"_a.none() = nb::none(),
          "energy_slopes"_a.none() = nb::none());
    m.def("curvature_gradient", &curvature_gradient, "model"_a, "member"_a, "workspace"_a, "element"_a,
          "position"_a, "first"_a, "neighbor"_a, "shift"_a.none(), "system"_a.none(), "n_systems"_a,
          "n_threads"_a, "field"_a.none(), "velocity"_a.none(), "directions"_a, "weights"_a, "gradients"_a);
}

} // namespace native
