// Energies, outputs and their derivatives with respect to positions and cells.
#include "bindings.hpp"
#include "seeds.hpp"
#include "systems.hpp"

namespace native {

using namespace nb::literals;

namespace {

void evaluate(const Model &model, int32_t member, Workspace &workspace, nb::handle element,
              nb::handle position, nb::handle first, nb::handle neighbor, nb::handle shift,
              nb::handle system, int64_t n_systems, int32_t n_threads, nb::handle energies,
              nb::handle forces, nb::handle virial, nb::handle virials, nb::handle extrapolation,
              nb::handle outputs, nb::handle dipole, nb::handle field) {
    const System s(element, position, first, neighbor, shift, system, n_systems, n_threads, field);
    const View<double> e("energies", energies, {s.n_atoms});
    const auto f = view_or_none<double>("forces", forces, {s.n_atoms, 3});
    const auto w = view_or_none<double>("virial", virial, {s.n_systems, 3, 3});
    const auto each = view_or_none<double>("virials", virials, {s.n_atoms, 3, 3});
    const auto x = view_or_none<double>("extrapolation", extrapolation, {s.n_atoms});
    const auto y = view_or_none<double>("outputs", outputs, {s.n_atoms, model.n_outputs()});
    const auto mu = view_or_none<double>("dipole", dipole, {s.n_systems, 3});
    const reann_result result = {e.data(), f.data(), w.data(), each.data(),
                                 x.data(), y.data(), mu.data()};
    compute(model, workspace, [&](reann_workspace *memory, reann_error *error) {
        return reann_evaluate(model.model.get(), member, memory, &s.c, &result, error);
    });
}

// Derivatives of energies with a part that depends on the outputs, and whose slopes are `seeds` of these.
void evaluate_with_seeds(const Model &model, int32_t member, Workspace &workspace, nb::handle element,
                         nb::handle position, nb::handle first, nb::handle neighbor, nb::handle shift,
                         nb::handle system, int64_t n_systems, int32_t n_threads, nb::handle energies,
                         nb::handle outputs, nb::handle forces, nb::handle virial, nb::callable function) {
    const System s(element, position, first, neighbor, shift, system, n_systems, n_threads);
    const int64_t n = s.n_atoms, width = model.n_outputs();
    const View<double> e("energies", energies, {n}), y("outputs", outputs, {n, width});
    const auto f = view_or_none<double>("forces", forces, {n, 3});
    const auto w = view_or_none<double>("virial", virial, {n_systems, 3, 3});
    Seeds seeds{function, size_t(n), size_t(width)};
    std::vector<double> slopes(n * width);
    compute_with(seeds, model, workspace, [&](reann_workspace *memory, reann_error *error) {
        reann_result result = {};
        result.forces = f.data();
        result.virial = w.data();
        return reann_forward(model.model.get(), member, memory, &s.c, e.data(), y.data(), error) &&
               Seeds::call(&seeds, y.data(), slopes.data()) &&
               reann_adjoint(memory, nullptr, slopes.data(), &result, error);
    });
}

// Derivatives of several quantities that depend on energies and outputs.
void derivatives(const Model &model, int32_t member, Workspace &workspace, nb::handle element,
                 nb::handle position, nb::handle first, nb::handle neighbor, nb::handle shift,
                 nb::handle system, int64_t n_systems, int32_t n_threads, nb::handle energies,
                 nb::handle outputs, nb::handle forces, nb::handle virial) {
    const System s(element, position, first, neighbor, shift, system, n_systems, n_threads);
    const View<const double> e("energies", energies, {-1, s.n_atoms});
    const int64_t m = e.length(), n = s.n_atoms, width = model.n_outputs();
    const auto y = view_or_none<const double>("outputs", outputs, {m, n, width});
    const View<double> f("forces", forces, {m, n, 3});
    const auto w = view_or_none<double>("virial", virial, {m, n_systems, 3, 3});
    std::vector<double> found(n), read(y.data() ? n * width : 0);
    compute(model, workspace, [&](reann_workspace *memory, reann_error *error) {
        int done = reann_forward(model.model.get(), member, memory, &s.c, found.data(),
                                 y.data() ? read.data() : nullptr, error);
        for (int64_t i = 0; i < m && done; ++i) {
            reann_result result = {};
            result.forces = f.data() + i * n * 3;
            result.virial = w.data() ? w.data() + i * n_systems * 9 : nullptr;
            done = reann_adjoint(memory, e.data() + i * n,
                                 y.data() ? y.data() + i * n * width : nullptr, &result, error);
        }
        return done;
    });
}

} // namespace

void bind_evaluation(nb::module_ &m) {
    m.def("evaluate", &evaluate, "model"_a, "member"_a, "workspace"_a, "element"_a, "position"_a,
          "first"_a, "neighbor"_a, "shift"_a.none(), "system"_a.none(), "n_systems"_a,
          "n_threads"_a, "energies"_a, "forces"_a.none(), "virial"_a.none(), "virials"_a.none(),
          "extrapolation"_a.none() = nb::none(), "outputs"_a.none() = nb::none(),
          "dipole"_a.none() = nb::none(), "field"_a.none() = nb::none());
    m.def("derivatives", &derivatives, "model"_a, "member"_a, "workspace"_a, "element"_a,
          "position"_a, "first"_a, "neighbor"_a, "shift"_a.none(), "system"_a.none(), "n_systems"_a,
          "n_threads"_a, "energies"_a, "outputs"_a.none(), "forces"_a, "virial"_a.none());
    m.def("evaluate_with_seeds", &evaluate_with_seeds, "model"_a, "member"_a, "workspace"_a, "element"_a,
          "position"_a, "first"_a, "neighbor"_a, "shift"_a.none(), "system"_a.none(), "n_systems"_a,
          "n_threads"_a, "energies"_a, "outputs"_a, "forces"_a.none(), "virial"_a.none(), "seeds"_a);
}

} // namespace native
