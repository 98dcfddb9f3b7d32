// A walk in two calls: the energies and outputs of atoms, then the derivatives for given seeds.
//
// In between, the caller adds energies that depend on the outputs, such as the Coulomb energy of charges.
#pragma once

#include "results.hpp"

namespace reann {
namespace {

// A walk that has stopped after the energies.
template <class Real> struct Halfway final : Kept {
    const reann_system system;
    Run<Real> run;

    Halfway(const Model &model, int member, Workspace &workspace, const reann_system &given)
        : system(given), run(model, member, workspace, system, true, nullptr) {
        run.split();
    }

    void adjoint(const double *seeds, const double *output_seeds, const reann_result &result) override {
        if (output_seeds && run.weights.outputs_width > 0 && !run.work.outputs)
            throw Error("Seeds of outputs need the outputs of reann_forward, which were not requested.");
        make_sums(run, result);
        run.walk_back(seeds, run.work.outputs ? output_seeds : nullptr);
        give_extrapolation(run, result.extrapolation);
        give_derivatives(run, result);
    }
};

template <class Real>
void walk_halfway(const Model &model, int member, Workspace &workspace, const reann_system &system,
                  double *energies, double *outputs) {
    auto halfway = std::make_unique<Halfway<Real>>(model, member, workspace, system);
    make_outputs(halfway->run, outputs);
    make_extrapolation(halfway->run);
    halfway->run.walk();
    give_energies(halfway->run, energies);
    give_outputs(halfway->run, outputs);
    workspace.kept = std::move(halfway);
}

} // namespace
} // namespace reann
