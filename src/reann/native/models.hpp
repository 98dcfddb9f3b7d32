// Models and workspaces of Python, and calls of the engine that use them.
//
// Computations share a model and have a workspace each; both are checked, because errors of other threads would
// be silent.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <string>
#include <vector>

#include "reann.h"
#include "views.hpp"

namespace native {

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

} // namespace native
