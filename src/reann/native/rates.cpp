// Changes along velocities or fields: heat flux, dipoles, polarizabilities, Born effective charges.
#include "bindings.hpp"
#include "models.hpp"
#include "systems.hpp"

namespace native {

using namespace nb::literals;

namespace {

void heat_flux(const Model &model, int32_t member, Workspace &workspace, nb::handle element,
               nb::handle position, nb::handle first, nb::handle neighbor, nb::handle shift,
               nb::handle system, int64_t n_systems, int32_t n_threads, nb::handle velocity,
               nb::handle energies, nb::handle flux) {
    const System s(element, position, first, neighbor, shift, system, n_systems, n_threads);
    const View<const double> v("velocity", velocity, {s.n_atoms, 3});
    const View<double> e("energies", energies, {s.n_atoms}), j("flux", flux, {3});
    compute(model, workspace, [&](reann_workspace *memory, reann_error *error) {
        return reann_heat_flux(model.model.get(), member, memory, &s.c, v.data(), e.data(), j.data(),
                               error);
    });
}

void dipole_rate(const Model &model, int32_t member, Workspace &workspace, nb::handle element,
                 nb::handle position, nb::handle first, nb::handle neighbor, nb::handle shift,
                 nb::handle system, int64_t n_systems, int32_t n_threads, nb::handle field,
                 nb::handle velocity, nb::handle field_rate, nb::handle dipole, nb::handle rate) {
    const System s(element, position, first, neighbor, shift, system, n_systems, n_threads, field);
    const auto v = view_or_none<const double>("velocity", velocity, {s.n_atoms, 3});
    const auto change = view_or_none<const double>("field_rate", field_rate, {s.n_systems, 3});
    const View<double> mu("dipole", dipole, {s.n_systems, 3}), d("rate", rate, {s.n_systems, 3});
    compute(model, workspace, [&](reann_workspace *memory, reann_error *error) {
        return reann_dipole_rate(model.model.get(), member, memory, &s.c, v.data(), change.data(),
                                 mu.data(), d.data(), error);
    });
}

void responses(const Model &model, int32_t member, Workspace &workspace, nb::handle element,
               nb::handle position, nb::handle first, nb::handle neighbor, nb::handle shift,
               nb::handle system, int64_t n_systems, int32_t n_threads, nb::handle field, nb::handle dipole,
               nb::handle polarizability, nb::handle born) {
    const System s(element, position, first, neighbor, shift, system, n_systems, n_threads, field);
    const View<double> mu("dipole", dipole, {s.n_systems, 3});
    const View<double> alpha("polarizability", polarizability, {s.n_systems, 3, 3});
    const auto z = view_or_none<double>("born", born, {s.n_atoms, 3, 3});
    compute(model, workspace, [&](reann_workspace *memory, reann_error *error) {
        return reann_responses(model.model.get(), member, memory, &s.c, mu.data(), alpha.data(), z.data(),
                               error);
    });
}

} // namespace

void bind_rates(nb::module_ &m) {
    m.def("dipole_rate", &dipole_rate, "model"_a, "member"_a, "workspace"_a, "element"_a,
          "position"_a, "first"_a, "neighbor"_a, "shift"_a.none(), "system"_a.none(), "n_systems"_a,
          "n_threads"_a, "field"_a.none(), "velocity"_a.none(), "field_rate"_a.none(), "dipole"_a,
          "rate"_a);
    m.def("responses", &responses, "model"_a, "member"_a, "workspace"_a, "element"_a, "position"_a,
          "first"_a, "neighbor"_a, "shift"_a.none(), "system"_a.none(), "n_systems"_a, "n_threads"_a,
          "field"_a.none(), "dipole"_a, "polarizability"_a, "born"_a.none());
    m.def("heat_flux", &heat_flux, "model"_a, "member"_a, "workspace"_a, "element"_a, "position"_a,
          "first"_a, "neighbor"_a, "shift"_a.none(), "system"_a.none(), "n_systems"_a,
          "n_threads"_a, "velocity"_a, "energies"_a, "flux"_a);
}

} // namespace native
