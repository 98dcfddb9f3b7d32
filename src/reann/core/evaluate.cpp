// The driver: puts atoms in the order of their elements, deals them to threads, and walks through the
// passes (kernels/passes.hpp). What threads add to the same atom goes to a buffer of each, and the
// buffers are summed in their order: the result depends on how many threads were asked for, never
// on which was first.

#include "evaluate.hpp"

#include <algorithm>

#include "check.hpp"
#include "team.hpp"

namespace reann {

constexpr int64_t fewest_neighbors = 2000; // per thread: below, waking one costs more
constexpr int most_threads = 32;           // a buffer of coefficients for each: memory
constexpr int64_t cost_of_atom = 60;       // of the networks, in neighbors
constexpr int64_t line = 16;               // numbers; parts of threads share no vector

namespace {

template <class Real> class Run {
  public:
    Run(const Model &model, int member, Workspace &workspace, const reann_system &system,
        bool derivatives, const reann_loss *loss)
        : weights_(model.packed<Real>(member).weights()), kernels_(kernels_of<Real>(level())),
          workspace_(workspace), system_(system), loss_(loss), planes_(loss ? 2 : 1),
          passes_((loss ? kernels_.tangents : kernels_.plain)[weights_.l_max]),
          row_(int64_t(planes_) * weights_.stride), rows_(weights_.n_rows * row_) {
        workspace.begin();
        work_.weights = &weights_;
        work_.zbl = loss ? nullptr : model.zbl();
        work_.derivatives = derivatives;
        order();
        deal();
        make_room();
    }

    void evaluate(const reann_result &result) {
        for (Chunk<Real> &chunk : chunks_) {
            const int64_t n = system_.n_atoms;
            chunk.forces = work_.derivatives ? workspace_.take<double>(3 * n) : nullptr;
            chunk.virial = result.virial ? workspace_.take<double>(9 * system_.n_systems) : nullptr;
            chunk.virials = result.virials ? workspace_.take<double>(9 * n) : nullptr;
            fill(chunk.forces, 3 * n);
            fill(chunk.virial, 9 * system_.n_systems);
            fill(chunk.virials, 9 * n);
        }
        walk();
        const int32_t *caller = work_.atoms.caller;
        for (int64_t i = 0; i < system_.n_local; ++i) result.energies[caller[i]] = work_.energies[i];
        for (int64_t i = 0; i < system_.n_atoms; ++i) {
            if (result.forces) add_up(result.forces + 3 * caller[i], 3, &Chunk<Real>::forces, 3 * i);
            if (result.virials) add_up(result.virials + 9 * caller[i], 9, &Chunk<Real>::virials, 9 * i);
        }
        if (result.virial) add_up(result.virial, 9 * system_.n_systems, &Chunk<Real>::virial, 0);
    }

    // J = -sum_ij r_ij sum_t (dE/dc_ij^(t)) . dc_j^(t) along the tangents, what flows through the
    // recursion; for atoms that move by `-loss.forces`.
    void add_flux(double *flux) {
        Edges<Real> &edges = work_.edges;
        edges.power = workspace_.take<Real>(edges.capacity);
        for (Chunk<Real> &chunk : chunks_) { // nobody asks for it, but it is computed beside
            chunk.parameters = workspace_.take<double>(weights_.n_parameters);
            fill(chunk.parameters, weights_.n_parameters);
        }
        walk();
        for (int64_t i = 0; i < system_.n_local; ++i)
            for (int64_t e = edges.begin[i]; e < edges.end[i]; ++e) {
                const double scale = (weights_.unit_vectors ? edges.r[e] : Real(1)) * edges.power[e];
                flux[0] -= edges.x[e] * scale;
                flux[1] -= edges.y[e] * scale;
                flux[2] -= edges.z[e] * scale;
            }
    }

    // The gradient with respect to the folded weights, and that of the reference energies.
    std::vector<double> gradient(std::vector<double> &reference_bar) {
        for (Chunk<Real> &chunk : chunks_) {
            chunk.parameters = workspace_.take<double>(weights_.n_parameters);
            fill(chunk.parameters, weights_.n_parameters);
        }
        walk();
        std::vector<double> bar(weights_.n_parameters), count(weights_.n_elements);
        add_up(bar.data(), weights_.n_parameters, &Chunk<Real>::parameters, 0);
        reference_bar.assign(weights_.n_elements, 0.0);
        for (int64_t i = 0; i < system_.n_local; ++i) {
            const int z = work_.atoms.element[i];
            count[z] += 1.0;
            if (loss_->energies) reference_bar[z] += loss_->energies[work_.atoms.caller[i]];
            for (int k = 0; k < weights_.n_radial; ++k)
                bar[weights_.coefficients_at + int64_t(z) * weights_.stride + k] +=
                    work_.coefficients_bar[i * rows_ + weights_.stride + k];
        }
        for (int z = 0; z < weights_.n_elements; ++z)
            if (count[z] > 0.0)
                kernels_.gradient_of_nothing(weights_, z, chunks_[0].scratch, count[z],
                                             reference_bar[z], bar.data());
        return bar;
    }

  private:
    static void fill(double *p, int64_t n) {
        if (p) std::fill_n(p, n, 0.0);
    }

    void add_up(double *to, int64_t n, double *Chunk<Real>::*part, int64_t from) const {
        for (int64_t k = 0; k < n; ++k) {
            double sum = 0.0;
            for (const Chunk<Real> &chunk : chunks_) sum += (chunk.*part)[from + k];
            to[k] = sum;
        }
    }

    void order() {
        const int64_t n = system_.n_atoms;
        int32_t *caller = workspace_.take<int32_t>(n), *rank = workspace_.take<int32_t>(n);
        int32_t *element = workspace_.take<int32_t>(n);
        int64_t at = 0;
        for (int z = 0; z < weights_.n_elements; ++z)
            for (int64_t i = 0; i < system_.n_local; ++i)
                if (system_.element[i] == z) caller[at++] = static_cast<int32_t>(i);
        for (int64_t i = system_.n_local; i < n; ++i) caller[i] = static_cast<int32_t>(i);
        for (int64_t i = 0; i < n; ++i) {
            rank[caller[i]] = static_cast<int32_t>(i);
            element[i] = system_.element[caller[i]];
        }
        Atoms &atoms = work_.atoms;
        atoms.position = system_.position;
        atoms.shift = system_.shift;
        atoms.first = system_.first;
        atoms.neighbor = system_.neighbor;
        atoms.system = system_.system;
        atoms.caller = caller;
        atoms.rank = rank;
        atoms.element = element;
        if (!loss_) return;
        atoms.energy_bar = loss_->energies;
        atoms.force_bar = loss_->forces;
        atoms.virial_bar = loss_->virial;
    }

    int64_t candidates(int64_t i) const {
        const int64_t at = work_.atoms.caller[i];
        return system_.first[at + 1] - system_.first[at];
    }

    // Cuts the atoms into as many chunks of equal cost as threads are worth while.
    void deal() {
        const int64_t n = system_.n_local;
        const int64_t neighbors = n ? system_.first[n] - system_.first[0] : 0;
        const int64_t most = std::max<int64_t>(most_threads / weights_.n_rows, 4);
        const int64_t worth = std::min(neighbors / fewest_neighbors, most);
        const int64_t n_chunks = std::max<int64_t>(1, std::min<int64_t>(worth, system_.n_threads));
        const int64_t cost = neighbors + n * cost_of_atom;
        chunks_.assign(n_chunks, Chunk<Real>());
        int64_t i = 0, spent = 0, edges = 0;
        for (int64_t c = 0; c < n_chunks; ++c) {
            Chunk<Real> &chunk = chunks_[c];
            chunk.begin = i;
            chunk.edges = edges;
            chunk.gap = c * line;
            int64_t own = 0;
            while (i < n && (c + 1 == n_chunks || spent * n_chunks < cost * (c + 1))) {
                spent += candidates(i) + cost_of_atom;
                own += candidates(i++);
            }
            chunk.end = i;
            edges += (own + line - 1) / line * line;
        }
        work_.edges.capacity = edges;
    }

    void make_room() {
        const int64_t n = system_.n_atoms, local = system_.n_local;
        Edges<Real> &edges = work_.edges;
        const int64_t capacity = edges.capacity;
        edges.begin = workspace_.take<int64_t>(local);
        edges.end = workspace_.take<int64_t>(local);
        edges.neighbor = workspace_.take<int32_t>(capacity);
        for (Real **part : {&edges.x, &edges.y, &edges.z, &edges.r})
            *part = workspace_.take<Real>(planes_ * capacity);
        edges.slope = workspace_.take<Real>(capacity);
        edges.fc = workspace_.take<Real>(capacity);
        if (planes_ == 1 && work_.derivatives) edges.gradient = workspace_.take<Real>(4 * capacity);
        edges.radial = workspace_.take<Real>(capacity * row_ + line);
        work_.energies = workspace_.take<double>(local);
        if (system_.forward || system_.reverse) values_.resize(n * weights_.n_rows * planes_ * weights_.n_radial);

        const int T = weights_.n_recursions;
        coefficients_.resize(T + 1);
        moments_.resize(T);
        tape_.resize(T);
        changes_.resize(T);
        for (Real *&c : coefficients_) c = workspace_.take<Real>(n * rows_ + line);
        const int64_t size = weights_.n_components * row_, n_chunks = chunks_.size();
        for (Real *&s : moments_) s = workspace_.take<Real>(local * size + n_chunks * line);
        for (int t = 0; t < T; ++t) {
            const Network<Real> &update = weights_.updates[t * weights_.n_elements];
            tape_[t] = workspace_.take<Real>(local * planes_ * update.tape);
            if (weights_.directional)
                changes_[t] = workspace_.take<Real>(local * planes_ * weights_.n_changes);
        }
        work_.coefficients = coefficients_.data();
        work_.moments = moments_.data();
        work_.tape = tape_.data();
        work_.changes = changes_.data();
        if (work_.derivatives) work_.coefficients_bar = workspace_.take<Real>(n * rows_);
        const int64_t scratch = kernels_.scratch_size(weights_, planes_);
        for (Chunk<Real> &chunk : chunks_) {
            chunk.scratch = workspace_.take<Real>(scratch);
            if (work_.derivatives) chunk.coefficients_bar = workspace_.take<Real>(n * rows_);
        }
    }

    // --- the walk -----------------------------------------------------------------------------

    void walk() {
        const int n_chunks = static_cast<int>(chunks_.size()), T = weights_.n_recursions;
        bool failed = false;
        std::vector<int64_t> impossible(n_chunks, -1);
        together(n_chunks, [&](const Team &team) {
            const auto each = [&](const auto &pass) {
                for (int c = team.rank; c < n_chunks; c += team.size) pass(chunks_[c]);
                team.meet();
            };
            const auto exchange = [&](reann_exchange call, Real *rows, bool forward) {
                if (!call) return true;
                if (team.rank == 0 && !failed) failed = !exchanged(call, rows, forward);
                team.meet();
                return !failed;
            };
            each([&](Chunk<Real> &chunk) {
                const auto [from, to] = share(chunk);
                for (int64_t i = from; i < to; ++i) start(i);
                if (work_.derivatives)
                    std::fill_n(chunk.coefficients_bar, system_.n_atoms * rows_, Real(0));
                int64_t &at = impossible[&chunk - chunks_.data()];
                for (int64_t i = chunk.begin; i < chunk.end && at < 0; ++i)
                    if (impossible_neighbor(system_, work_.atoms.caller[i]) >= 0)
                        at = work_.atoms.caller[i];
                if (at < 0) passes_.prepare(work_, chunk);
            });
            for (int64_t at : impossible)
                if (at >= 0) return;
            for (int t = 0; t < T; ++t) {
                each([&](Chunk<Real> &chunk) { passes_.forward(work_, chunk, t); });
                if (!exchange(system_.forward, coefficients_[t + 1], true)) return;
            }
            each([&](Chunk<Real> &chunk) { passes_.middle(work_, chunk); });
            if (!work_.derivatives) return;
            for (int t = T - 1; t >= 0; --t) {
                each([&](Chunk<Real> &chunk) { reduce(chunk, t == T - 1); });
                if (!exchange(system_.reverse, work_.coefficients_bar, false)) return;
                each([&](Chunk<Real> &chunk) { passes_.backward(work_, chunk, t); });
            }
            if (planes_ == 2) each([&](Chunk<Real> &chunk) { reduce(chunk, T == 0); });
        });
        for (int64_t i : impossible)
            if (i >= 0) {
                const int32_t j = system_.neighbor[impossible_neighbor(system_, i)];
                throw Error("Neighbor " + std::to_string(j) + " is no atom: of the list of atom " +
                            std::to_string(i) + ".");
            }
        if (failed) throw Error("An exchange of the atoms' coefficients failed.");
        for (const Chunk<Real> &chunk : chunks_)
            if (chunk.closest >= 0)
                throw Error("Atom " + std::to_string(chunk.closest) +
                            " and another coincide: they are closer than 1e-3 Å.");
    }

    // The atoms, ghosts included, that a chunk prepares and sums up.
    std::pair<int64_t, int64_t> share(const Chunk<Real> &chunk) const {
        const int64_t n = system_.n_atoms, size = chunks_.size(), c = &chunk - chunks_.data();
        return {n * c / size, n * (c + 1) / size};
    }

    void start(int64_t i) {
        const Real *c = weights_.coefficients + int64_t(work_.atoms.element[i]) * weights_.stride;
        Real *to = coefficients_[0] + i * rows_;
        std::copy_n(c, weights_.stride, to);
        if (planes_ == 2) std::fill_n(to + weights_.stride, weights_.stride, Real(0));
    }

    // Adds what the chunks gave to the adjoints of c and u. Those of c accumulate over t:
    // c^(t+1) = c^(t) + g_t passes the adjoint on; u^(t) is only read at t.
    void reduce(const Chunk<Real> &own, bool first) {
        const auto [from, to] = share(own);
        Real *bar = work_.coefficients_bar;
        for (int64_t row = from * rows_; row < to * rows_; row += row_) {
            const bool of_c = row % rows_ == 0;
            for (int64_t k = row; k < row + row_; ++k) {
                Real sum = first || !of_c ? Real(0) : bar[k];
                for (Chunk<Real> &chunk : chunks_) {
                    sum += chunk.coefficients_bar[k];
                    chunk.coefficients_bar[k] = 0;
                }
                bar[k] = sum;
            }
        }
    }

    // Rows in the caller's order and precision, exchanged, and back again.
    bool exchanged(reann_exchange call, Real *rows, bool forward) {
        const int64_t n = system_.n_atoms, local = system_.n_local, K = weights_.n_radial;
        const int64_t n_rows = weights_.n_rows * planes_, width = n_rows * K;
        const int32_t *caller = work_.atoms.caller;
        const auto each = [&](int64_t begin, int64_t end, const auto &copy) {
            for (int64_t i = begin; i < end; ++i)
                for (int64_t r = 0; r < n_rows; ++r)
                    copy(rows + i * rows_ + r * weights_.stride, values_.data() + caller[i] * width + r * K);
        };
        each(0, n, [&](const Real *row, double *to) { std::copy_n(row, K, to); });
        if (!call(system_.context, values_.data(), static_cast<int32_t>(width))) return false;
        if (forward) // padding is read, and must not be what was there before
            std::fill(rows + local * rows_, rows + n * rows_, Real(0));
        each(forward ? local : 0, forward ? n : local, [&](Real *row, const double *from) {
            for (int64_t k = 0; k < K; ++k) row[k] = static_cast<Real>(from[k]);
        });
        if (!forward) std::fill(rows + local * rows_, rows + n * rows_, Real(0));
        return true;
    }

    const Weights<Real> &weights_;
    const Kernels<Real> &kernels_;
    Workspace &workspace_;
    const reann_system &system_;
    const reann_loss *loss_;
    const int planes_;
    const Passes<Real> &passes_;
    const int64_t row_, rows_; // numbers in a row of an atom, and in all that neighbors read
    Work<Real> work_;
    std::vector<Chunk<Real>> chunks_;
    std::vector<Real *> coefficients_, moments_, tape_, changes_;
    std::vector<double> values_;
};

} // namespace

static void check_exchange(const Model &model, const reann_system &system) {
    if (system.n_atoms > system.n_local && model.settings().n_recursions > 0 &&
        !(system.forward && system.reverse))
        throw Error("Ghost atoms need callbacks that exchange their coefficients.");
}

void evaluate(const Model &model, int member, Workspace &workspace, const reann_system &system,
              const reann_result &result) {
    check(model, system);
    check_exchange(model, system);
    const bool derivatives = result.forces || result.virial || result.virials;
    if (model.settings().float64)
        Run<double>(model, member, workspace, system, derivatives, nullptr).evaluate(result);
    else
        Run<float>(model, member, workspace, system, derivatives, nullptr).evaluate(result);
}

void gradient(const Model &model, int member, Workspace &workspace, const reann_system &system,
              const reann_loss &loss, double *const *gradients) {
    check(model, system);
    if (system.n_atoms != system.n_local) throw Error("The gradient is of systems without ghosts.");
    std::vector<double> bar, reference_bar;
    if (model.settings().float64)
        bar = Run<double>(model, member, workspace, system, true, &loss).gradient(reference_bar);
    else
        bar = Run<float>(model, member, workspace, system, true, &loss).gradient(reference_bar);
    const Folded &folded = model.folded(member);
    folded.unfold(bar, gradients);
    if (double *to = gradients[folded.reference_array])
        for (size_t z = 0; z < reference_bar.size(); ++z) to[z] += reference_bar[z];
}

// What virials at the neighbors and their velocities give, and what flows through the recursion.
void heat_flux(const Model &model, int member, Workspace &workspace, const reann_system &system,
               const double *velocity, double *energies, double *flux) {
    const int64_t n = system.n_atoms;
    // One more: without atoms, too, this rank takes part in what the others exchange.
    std::vector<double> virials(9 * n + 1), displaced(3 * n + 1);
    reann_result result = {};
    result.energies = energies;
    result.virials = virials.data();
    evaluate(model, member, workspace, system, result);
    for (int64_t k = 0; k < 3 * n; ++k) displaced[k] = -velocity[k];
    for (int a = 0; a < 3; ++a) {
        flux[a] = 0.0;
        for (int64_t j = 0; j < n; ++j)
            for (int b = 0; b < 3; ++b) flux[a] += virials[9 * j + 3 * a + b] * velocity[3 * j + b];
    }
    if (model.settings().n_recursions == 0) return;
    reann_loss along = {};
    along.forces = displaced.data();
    if (model.settings().float64)
        Run<double>(model, member, workspace, system, true, &along).add_flux(flux);
    else
        Run<float>(model, member, workspace, system, true, &along).add_flux(flux);
}

} // namespace reann
