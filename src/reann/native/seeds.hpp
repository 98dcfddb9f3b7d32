// Energies that depend on the outputs of atoms: Python computes them, and the engine asks for their derivatives.
#pragma once

#include <algorithm>
#include <exception>

#include "models.hpp"

namespace native {

// Calls a function of Python, which converts an array of outputs of atoms to another one of the same shape.
struct Seeds {
    nb::handle function;
    size_t n_atoms, width;
    std::exception_ptr problem = nullptr;

    // For the C interface, which no exception may pass through.
    static int call(void *context, const double *from, double *to) {
        Seeds &self = *static_cast<Seeds *>(context);
        const nb::gil_scoped_acquire alone;
        try {
            const nb::ndarray<nb::numpy, const double> array(from, {self.n_atoms, self.width});
            const nb::object result = self.function(nb::cast(array, nb::rv_policy::copy));
            const int64_t n = int64_t(self.n_atoms), width = int64_t(self.width);
            const View<const double> seeds("seeds", result, {n, width});
            std::copy_n(seeds.data(), n * width, to);
            return 1;
        } catch (...) {
            self.problem = std::current_exception();
            return 0;
        }
    }
};

// The same as `compute`; raises the errors of the function.
template <class Call>
void compute_with(Seeds &seeds, const Model &model, Workspace &workspace, const Call &call) {
    try {
        compute(model, workspace, call);
    } catch (...) {
        if (seeds.problem) std::rethrow_exception(seeds.problem);
        throw;
    }
}

} // namespace native
