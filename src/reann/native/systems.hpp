// Structures for the engine, as views of the arrays of a batch of graphs.
#pragma once

#include <string>

#include "reann.h"
#include "views.hpp"

namespace native {

struct System {
    View<const int32_t> element;
    View<const double> position;
    View<const int64_t> first;
    View<const int32_t> neighbor;
    View<const double> shift;
    View<const int32_t> system;
    View<const double> field;
    int64_t n_atoms;
    int64_t n_systems;
    reann_system c = {};

    System(nb::handle elements, nb::handle positions, nb::handle firsts, nb::handle neighbors,
           nb::handle shifts, nb::handle systems, int64_t number, int32_t n_threads,
           nb::handle fields = nb::none())
        : element("element", elements, {-1}),
          position("position", positions, {element.length(), 3}),
          first("first", firsts, {element.length() + 1}), neighbor("neighbor", neighbors, {-1}),
          shift(view_or_none<const double>("shift", shifts, {neighbor.length(), 3})),
          system(view_or_none<const int32_t>("system", systems, {element.length()})),
          field(view_or_none<const double>("field", fields, {number, 3})),
          n_atoms(element.length()), n_systems(number) {
        if (n_systems < 1 || (n_systems > 1 && !system.data()))
            refuse("n_systems: " + std::to_string(n_systems) + " does not agree with `system`");
        if (first.data()[n_atoms] != neighbor.length())
            refuse("first: the last is " + std::to_string(first.data()[n_atoms]) + " for " +
                   std::to_string(neighbor.length()) + " neighbors");
        c.n_local = c.n_atoms = n_atoms;
        c.element = element.data();
        c.position = position.data();
        c.first = first.data();
        c.neighbor = neighbor.data();
        c.shift = shift.data();
        c.system = system.data();
        c.n_systems = n_systems;
        c.n_threads = n_threads;
        c.field = field.data();
    }
};

} // namespace native
