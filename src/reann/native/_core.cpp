// The Python extension: passes arrays of numpy or torch to the C interface without a copy.
//
// The C interface takes bare pointers, so all arrays are checked before (views.hpp). Errors of the engine are
// raised as ValueError with its message. An array of numpy takes 0.2 us, one of torch 3.4 us (DLPack); for
// small systems, pass `tensor.numpy()`.
#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <string>
#include <vector>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include "level.hpp"
#include "reann.h"
#include "views.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

// --- models and workspaces --------------------------------------------------------------------

struct Free {
    void operator()(reann_model *model) const { reann_close(model); }
    void operator()(reann_workspace *workspace) const { reann_workspace_free(workspace); }
};

struct Model {
    std::unique_ptr<reann_model, Free> model;
    std::vector<std::string> names; // of the arrays it was built from, in their order
    std::vector<int64_t> sizes;
    // Shared by computations, exclusive for an update.
    std::unique_ptr<std::shared_mutex> use = std::make_unique<std::shared_mutex>();

    int64_t n_outputs() const { return reann_n_outputs(model.get()); }
};

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

struct Workspace {
    std::unique_ptr<reann_workspace, Free> workspace{reann_workspace_new()};
    std::atomic_flag busy = ATOMIC_FLAG_INIT;

    Workspace() {
        if (!workspace) throw std::bad_alloc();
    }
};

// Two threads in one workspace would overwrite each other's numbers.
class Use {
    Workspace &used;

  public:
    explicit Use(Workspace &workspace) : used(workspace) {
        if (used.busy.test_and_set()) refuse("workspace: another thread is computing with it");
    }
    ~Use() { used.busy.clear(); }
    Use(const Use &) = delete;
    reann_workspace *get() const { return used.workspace.get(); }
};

// --- evaluation -------------------------------------------------------------------------------

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

// Calls the engine without the global interpreter lock, and raises its errors.
template <class Call> void compute(const Model &model, Workspace &workspace, const Call &call) {
    const Use use(workspace);
    const std::shared_lock<std::shared_mutex> unchanged(*model.use);
    reann_error error = {};
    int done = 0;
    {
        nb::gil_scoped_release others_run;
        done = call(use.get(), &error);
    }
    if (!done) refuse(error.message);
}

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

// --- neighbors --------------------------------------------------------------------------------

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

NB_MODULE(_core, m) {
    m.doc() = "The native engine; `reann.backends.native` is what programs use.";

    nb::class_<Model>(m, "Model")
        .def(nb::new_(&build), "header"_a, "arrays"_a)
        .def_static("open", &open, "path"_a)
        .def("update", &update, "arrays"_a)
        .def_prop_ro("cutoff", [](const Model &m) { return reann_cutoff(m.model.get()); })
        .def_prop_ro("n_members", [](const Model &m) { return reann_n_members(m.model.get()); })
        .def_prop_ro("n_outputs", &Model::n_outputs);
    nb::class_<Workspace>(m, "Workspace").def(nb::init<>());

    m.def("evaluate", &evaluate, "model"_a, "member"_a, "workspace"_a, "element"_a, "position"_a,
          "first"_a, "neighbor"_a, "shift"_a.none(), "system"_a.none(), "n_systems"_a,
          "n_threads"_a, "energies"_a, "forces"_a.none(), "virial"_a.none(), "virials"_a.none(),
          "extrapolation"_a.none() = nb::none(), "outputs"_a.none() = nb::none(),
          "dipole"_a.none() = nb::none(), "field"_a.none() = nb::none());
    m.def("derivatives", &derivatives, "model"_a, "member"_a, "workspace"_a, "element"_a,
          "position"_a, "first"_a, "neighbor"_a, "shift"_a.none(), "system"_a.none(), "n_systems"_a,
          "n_threads"_a, "energies"_a, "outputs"_a.none(), "forces"_a, "virial"_a.none());
    m.def("gradient", &gradient, "model"_a, "member"_a, "workspace"_a, "element"_a, "position"_a,
          "first"_a, "neighbor"_a, "shift"_a.none(), "system"_a.none(), "n_systems"_a,
          "n_threads"_a, "energies"_a.none(), "forces"_a.none(), "virial"_a.none(), "gradients"_a,
          "outputs"_a.none() = nb::none(), "dipole"_a.none() = nb::none(),
          "field"_a.none() = nb::none(), "slopes"_a.none() = nb::none(), "seeds"_a.none() = nb::none(),
          "energy_slopes"_a.none() = nb::none());
    m.def("evaluate_with_seeds", &evaluate_with_seeds, "model"_a, "member"_a, "workspace"_a, "element"_a,
          "position"_a, "first"_a, "neighbor"_a, "shift"_a.none(), "system"_a.none(), "n_systems"_a,
          "n_threads"_a, "energies"_a, "outputs"_a, "forces"_a.none(), "virial"_a.none(), "seeds"_a);
    m.def("curvature_gradient", &curvature_gradient, "model"_a, "member"_a, "workspace"_a, "element"_a,
          "position"_a, "first"_a, "neighbor"_a, "shift"_a.none(), "system"_a.none(), "n_systems"_a,
          "n_threads"_a, "field"_a.none(), "velocity"_a.none(), "directions"_a, "weights"_a, "gradients"_a);
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
    m.def("neighbors", &neighbors, "position"_a, "cell"_a, "periodic"_a, "reach"_a);
    m.def("interface", &reann_interface);
    m.def("isa", [] { return reann::level().name; });
    m.def("levels", [] {
        nb::list names;
        for (const char *const *name = reann::levels(); *name; ++name) names.append(*name);
        return names;
    });
}
