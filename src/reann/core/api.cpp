// The C interface. No exception leaves it.

#include <cmath>
#include <cstdio>
#include <exception>

#include "evaluate.hpp"
#include "file.hpp"

struct reann_model {
    reann::Model model;
};

struct reann_workspace {
    reann::Workspace workspace;
};

namespace {

void tell(reann_error *error, const char *what) {
    if (error) std::snprintf(error->message, sizeof error->message, "%s", what);
}

// Returns the result of `body`, or `otherwise` with a message.
template <class Result, class Body>
Result guarded(reann_error *error, Result otherwise, const Body &body) {
    try {
        return body();
    } catch (const std::bad_alloc &) {
        tell(error, "There is not enough memory.");
    } catch (const std::exception &problem) {
        tell(error, problem.what());
    } catch (...) {
        tell(error, "Something unknown went wrong.");
    }
    return otherwise;
}

std::vector<reann::Array> named(const reann_array *arrays, int32_t n_arrays) {
    std::vector<reann::Array> found;
    for (int32_t a = 0; a < n_arrays; ++a) {
        const reann_array &from = arrays[a];
        found.push_back({from.name, from.type, {from.shape, from.shape + from.n_axes}, from.data});
    }
    return found;
}

void check_member(const reann_model *model, int32_t member) {
    if (member < 0 || member >= model->model.settings().n_members)
        throw reann::Error("The model has no member " + std::to_string(member) + ".");
}

const reann::FoldedHead *head_of(const reann_model *model, int32_t member, const char *name) {
    const std::string full = "output_heads." + std::string(name);
    for (const reann::FoldedHead &head : model->model.folded(member).heads)
        if (head.name == full) return &head;
    return nullptr;
}

const reann::FoldedHead &existing_head(const reann_model *model, int32_t member, const char *name) {
    check_member(model, member);
    const reann::FoldedHead *head = head_of(model, member, name);
    if (!head) throw reann::Error("The model has no output '" + std::string(name) + "'.");
    return *head;
}

} // namespace

int32_t reann_interface(void) { return REANN_INTERFACE; }

const char *reann_isa(void) {
    return guarded<const char *>(nullptr, nullptr, [] { return reann::level().name; });
}

reann_model *reann_open(const char *path, reann_error *error) {
    return guarded<reann_model *>(error, nullptr, [&] {
        reann::File file = reann::read_file(path);
        try {
            return new reann_model{reann::Model(file.header, file.arrays)};
        } catch (const reann::Error &problem) {
            throw reann::Error(std::string(path) + ": " + problem.what());
        }
    });
}

int64_t reann_file_size(const char *path, reann_error *error) {
    return guarded<int64_t>(error, -1, [&] { return static_cast<int64_t>(reann::file_size(path)); });
}

reann_model *reann_parse(const char *content, int64_t n_bytes, reann_error *error) {
    return guarded<reann_model *>(error, nullptr, [&] {
        const reann::File file = reann::parse_file(std::string(content, n_bytes));
        return new reann_model{reann::Model(file.header, file.arrays)};
    });
}

reann_model *reann_build(const char *header, const reann_array *arrays, int32_t n_arrays,
                         reann_error *error) {
    return guarded<reann_model *>(error, nullptr, [&] {
        return new reann_model{reann::Model(header, named(arrays, n_arrays))};
    });
}

int reann_update(reann_model *model, const reann_array *arrays, int32_t n_arrays, reann_error *error) {
    return guarded(error, 0, [&] {
        model->model.update(named(arrays, n_arrays));
        return 1;
    });
}

int32_t reann_n_outputs(const reann_model *model) { return model->model.folded(0).outputs_width; }

int32_t reann_head_width(const reann_model *model, const char *name) {
    const reann::FoldedHead *head = head_of(model, 0, name);
    return head ? head->width : 0;
}

int reann_head_values(const reann_model *model, int32_t member, const char *name, int64_t n,
                      const int32_t *element, const double *outputs, double *values, reann_error *error) {
    return guarded(error, 0, [&] {
        const reann::FoldedHead &head = existing_head(model, member, name);
        const int64_t width = reann_n_outputs(model);
        for (int64_t i = 0; i < n; ++i) {
            if (element[i] < 0 || element[i] >= reann_n_elements(model))
                throw reann::Error("The model does not have the element of atom " + std::to_string(i) + ".");
            head.value(element[i], outputs + i * width, values + i * head.width);
        }
        return 1;
    });
}

int reann_head_adjoint(const reann_model *model, int32_t member, const char *name, int64_t n,
                       const double *value_seeds, double *output_seeds, reann_error *error) {
    return guarded(error, 0, [&] {
        const reann::FoldedHead &head = existing_head(model, member, name);
        const int64_t width = reann_n_outputs(model);
        for (int64_t i = 0; i < n; ++i) head.adjoint(value_seeds + i * head.width, output_seeds + i * width);
        return 1;
    });
}

double reann_hardness(const reann_model *model, int32_t member, int32_t element) {
    const bool known = element >= 0 && element < reann_n_elements(model) && member >= 0 &&
                       member < reann_n_members(model);
    const double *log_hardness = known ? model->model.folded(member).log_hardness : nullptr;
    return log_hardness ? std::exp(log_hardness[element]) : 0.0;
}

double reann_smearing(const reann_model *model) { return model->model.settings().smearing; }

int32_t reann_knows_field(const reann_model *model) { return model->model.settings().field; }

void reann_close(reann_model *model) { delete model; }

int32_t reann_n_members(const reann_model *model) { return model->model.settings().n_members; }

double reann_cutoff(const reann_model *model) { return model->model.settings().cutoff; }

int32_t reann_n_elements(const reann_model *model) {
    return static_cast<int32_t>(model->model.settings().elements.size());
}

int32_t reann_atomic_number(const reann_model *model, int32_t element) {
    const bool known = element >= 0 && element < reann_n_elements(model);
    return known ? model->model.settings().elements[element] : -1;
}

int32_t reann_element(const reann_model *model, int32_t atomic_number) {
    return model->model.element(atomic_number);
}

reann_workspace *reann_workspace_new(void) { return new (std::nothrow) reann_workspace; }

void reann_workspace_free(reann_workspace *workspace) { delete workspace; }

int reann_neighbors(reann_workspace *workspace, const double *position, int64_t n_atoms,
                    const double *cell, const int32_t *periodic, double reach, reann_list *list,
                    reann_error *error) {
    return guarded(error, 0, [&] {
        reann::NeighborList &found = workspace->workspace.neighbors;
        found.build(position, n_atoms, cell, periodic, reach);
        *list = {found.first.data(), found.neighbor.data(), found.shift.data(), found.crossed.data()};
        return 1;
    });
}

int reann_evaluate(const reann_model *model, int32_t member, reann_workspace *workspace,
                   const reann_system *system, const reann_result *result, reann_error *error) {
    return guarded(error, 0, [&] {
        check_member(model, member);
        reann::evaluate(model->model, member, workspace->workspace, *system, *result);
        return 1;
    });
}

int reann_forward(const reann_model *model, int32_t member, reann_workspace *workspace,
                  const reann_system *system, double *energies, double *outputs, reann_error *error) {
    return guarded(error, 0, [&] {
        check_member(model, member);
        reann::forward(model->model, member, workspace->workspace, *system, energies, outputs);
        return 1;
    });
}

int reann_adjoint(reann_workspace *workspace, const double *seeds, const double *output_seeds,
                  const reann_result *result, reann_error *error) {
    return guarded(error, 0, [&] {
        reann::adjoint(workspace->workspace, seeds, output_seeds, *result);
        return 1;
    });
}

int reann_heat_flux(const reann_model *model, int32_t member, reann_workspace *workspace,
                    const reann_system *system, const double *velocity, double *energies,
                    double *flux, reann_error *error) {
    return guarded(error, 0, [&] {
        check_member(model, member);
        reann::heat_flux(model->model, member, workspace->workspace, *system, velocity, energies, flux);
        return 1;
    });
}

int reann_dipole_rate(const reann_model *model, int32_t member, reann_workspace *workspace,
                      const reann_system *system, const double *velocity, const double *field_rate,
                      double *dipole, double *rate, reann_error *error) {
    return guarded(error, 0, [&] {
        check_member(model, member);
        reann::dipole_rate(model->model, member, workspace->workspace, *system, velocity, field_rate, dipole,
                           rate);
        return 1;
    });
}

int reann_responses(const reann_model *model, int32_t member, reann_workspace *workspace,
                    const reann_system *system, double *dipole, double *polarizability, double *born,
                    reann_error *error) {
    return guarded(error, 0, [&] {
        check_member(model, member);
        reann::responses(model->model, member, workspace->workspace, *system, dipole, polarizability, born);
        return 1;
    });
}

int reann_gradient(const reann_model *model, int32_t member, reann_workspace *workspace,
                   const reann_system *system, const reann_loss *loss, double *const *gradients,
                   reann_error *error) {
    return guarded(error, 0, [&] {
        check_member(model, member);
        reann::gradient(model->model, member, workspace->workspace, *system, *loss, gradients);
        return 1;
    });
}

int reann_curvature_gradient(const reann_model *model, int32_t member, reann_workspace *workspace,
                             const reann_system *system, const double *velocity,
                             const double *directions, const double *weights,
                             double *const *gradients, reann_error *error) {
    return guarded(error, 0, [&] {
        check_member(model, member);
        reann::curvature_gradient(model->model, member, workspace->workspace, *system, velocity, directions, weights,
                                  gradients);
        return 1;
    });
}
