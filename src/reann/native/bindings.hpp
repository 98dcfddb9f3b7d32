// Each file of bindings adds its classes and functions to the extension.
#pragma once

#include <nanobind/nanobind.h>

namespace native {

void bind_models(nanobind::module_ &m);
void bind_evaluation(nanobind::module_ &m);
void bind_rates(nanobind::module_ &m);
void bind_training(nanobind::module_ &m);
void bind_neighbors(nanobind::module_ &m);
void bind_charges(nanobind::module_ &m);

} // namespace native
