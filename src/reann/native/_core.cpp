// The Python extension: passes arrays of numpy or torch to the C interface without a copy.
//
// The C interface takes bare pointers, so all arrays are checked before (views.hpp). Errors of the engine are
// raised as ValueError with its message. An array of numpy takes 0.2 us, one of torch 3.4 us (DLPack); for
// small systems, pass `tensor.numpy()`.
#include "bindings.hpp"
#include "level.hpp"
#include "reann.h"

namespace nb = nanobind;

NB_MODULE(_core, m) {
    m.doc() = "The native engine; `reann.backends.native` is what programs use.";
    native::bind_models(m);
    native::bind_evaluation(m);
    native::bind_rates(m);
    native::bind_training(m);
    native::bind_neighbors(m);
    native::bind_charges(m);
    m.def("interface", &reann_interface);
    m.def("isa", [] { return reann::level().name; });
    m.def("levels", [] {
        nb::list names;
        for (const char *const *name = reann::levels(); *name; ++name) names.append(*name);
        return names;
    });
}
