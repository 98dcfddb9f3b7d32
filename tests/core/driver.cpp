// Replays cases through the C interface, for the sanitizers: `driver CASE_OR_POTENTIAL...`.
//
// A case holds named arrays: a model, a system, what the reference says about them, and the
// derivatives of a loss (see test_sanitizers.py). Each is computed with one thread and with four,
// again in the memory of the others, by two callers at once, and with the engine's own list of
// neighbors; then it is made impossible. Files of potentials are opened.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "reann.h"

namespace {

struct Entry {
    std::string name;
    int32_t type; // as `reann_type`; anything above is no array of a model
    std::vector<int64_t> shape;
    std::vector<char> data;
};

struct Case {
    std::vector<Entry> entries;

    const Entry *find(const std::string &name) const {
        for (const Entry &entry : entries)
            if (entry.name == name) return &entry;
        return nullptr;
    }
    // NULL if there is no such array
    template <class T> const T *get(const std::string &name) const {
        const Entry *entry = find(name);
        return entry ? reinterpret_cast<const T *>(entry->data.data()) : nullptr;
    }
    int64_t length(const std::string &name) const { return find(name)->shape[0]; }
};

template <class T> void read(std::ifstream &file, T *to, int64_t n) {
    if (!file.read(reinterpret_cast<char *>(to), n * static_cast<int64_t>(sizeof(T))))
        throw std::runtime_error("truncated case");
}

Case read_case(const char *path) {
    std::ifstream file(path, std::ios::binary);
    Case found;
    int32_t head[3]; // bytes of the name, type, axes
    while (file.peek() != EOF) {
        read(file, head, 3);
        Entry entry{std::string(head[0], ' '), head[1], std::vector<int64_t>(head[2]), {}};
        int64_t n_bytes;
        read(file, &entry.name[0], head[0]);
        read(file, entry.shape.data(), head[2]);
        read(file, &n_bytes, 1);
        entry.data.resize(n_bytes);
        read(file, entry.data.data(), n_bytes);
        found.entries.push_back(std::move(entry));
    }
    return found;
}

// --- ghosts: images of the system's own atoms ---------------------------------------------------

struct Images {
    int64_t n_local, n_atoms;
    const int32_t *owner; // of each ghost
};

int to_ghosts(void *context, double *values, int32_t width) {
    const Images &images = *static_cast<Images *>(context);
    for (int64_t i = images.n_local; i < images.n_atoms; ++i)
        for (int32_t k = 0; k < width; ++k)
            values[i * width + k] = values[images.owner[i - images.n_local] * width + k];
    return 1;
}

int to_owners(void *context, double *values, int32_t width) {
    const Images &images = *static_cast<Images *>(context);
    for (int64_t i = images.n_local; i < images.n_atoms; ++i)
        for (int32_t k = 0; k < width; ++k)
            values[images.owner[i - images.n_local] * width + k] += values[i * width + k];
    return 1;
}

// --- one case -----------------------------------------------------------------------------------

struct Answer {
    std::vector<double> energies, forces, virial, virials, extrapolation, outputs;
    std::vector<std::vector<double>> gradients;

    bool operator==(const Answer &other) const {
        return energies == other.energies && forces == other.forces && virial == other.virial &&
               virials == other.virials && extrapolation == other.extrapolation &&
               outputs == other.outputs && gradients == other.gradients;
    }
};

class Replay {
  public:
    explicit Replay(const Case &stored) : case_(stored) {
        for (const Entry &entry : case_.entries)
            if (entry.type == REANN_FLOAT32 || entry.type == REANN_FLOAT64) {
                arrays_.push_back({entry.name.c_str(), static_cast<reann_type>(entry.type),
                                  static_cast<int32_t>(entry.shape.size()), entry.shape.data(),
                                  entry.data.data()});
                int64_t size = 1;
                for (const int64_t n : entry.shape) size *= n;
                sizes_.push_back(size);
            }
        reann_error error;
        model_ = reann_build(std::string(case_.get<char>("header"), case_.length("header")).c_str(),
                             arrays_.data(), static_cast<int32_t>(arrays_.size()), &error);
        if (!model_) throw std::runtime_error(error.message);
        system_.n_local = case_.length("energies");
        system_.n_atoms = case_.length("element");
        system_.n_systems = case_.length("virial");
        system_.element = case_.get<int32_t>("element");
        system_.position = case_.get<double>("position");
        system_.first = case_.get<int64_t>("first");
        system_.neighbor = case_.get<int32_t>("neighbor");
        system_.shift = case_.get<double>("shift");
        system_.system = case_.get<int32_t>("system");
        images_ = {system_.n_local, system_.n_atoms, case_.get<int32_t>("owner")};
        if (images_.owner) {
            system_.forward = to_ghosts;
            system_.reverse = to_owners;
            system_.context = &images_;
        }
    }
    ~Replay() { reann_close(model_); }

    void check(reann_workspace *used) {
        const Answer expected = answer(used, 1);
        compare(expected);
        reann_workspace *fresh = reann_workspace_new();
        const Answer again = answer(fresh, 4, true);
        update();
        const Answer four = answer(used, 4);
        compare(four);
        Answer other;
        std::thread caller([&] { other = answer(fresh, 4); });
        const Answer own = answer(used, 4);
        caller.join();
        if (!(four == again && four == own && four == other))
            throw std::runtime_error("the same question has another answer");
        refuse_impossible(fresh);
        if (case_.find("cell")) {
            find_neighbors(fresh);
            compare(answer(fresh, 4));
        }
        reann_workspace_free(fresh);
    }

  private:
    Answer answer(reann_workspace *workspace, int32_t n_threads, bool in_two = false) {
        const double nan = std::numeric_limits<double>::quiet_NaN();
        reann_system system = system_;
        system.n_threads = n_threads;
        Answer found;
        found.energies.assign(system.n_local, nan);
        found.forces.assign(3 * system.n_atoms, nan);
        found.virial.assign(9 * system.n_systems, nan);
        found.virials.assign(9 * system.n_atoms, nan);
        found.extrapolation.assign(system.n_local, nan);
        found.outputs.assign(system.n_local * reann_n_outputs(model_), nan);
        const reann_result result = {found.energies.data(), found.forces.data(),
                                     found.virial.data(),   found.virials.data(),
                                     found.extrapolation.data(), found.outputs.data()};
        reann_error error;
        if (!reann_evaluate(model_, 0, workspace, &system, &result, &error))
            throw std::runtime_error(error.message);
        if (in_two) evaluate_in_two(workspace, system, found);
        if (images_.owner) {
            to_owners(&images_, found.forces.data(), 3);
            to_owners(&images_, found.virials.data(), 9);
            return found;
        }
        std::vector<double *> gradients;
        for (const int64_t size : sizes_) found.gradients.emplace_back(size, 0.0);
        for (std::vector<double> &gradient : found.gradients) gradients.push_back(gradient.data());
        const reann_loss loss = {case_.get<double>("loss energies"),
                                 case_.get<double>("loss forces"), case_.get<double>("loss virial"),
                                 case_.get<double>("loss outputs")};
        if (!reann_gradient(model_, 0, workspace, &system, &loss, gradients.data(), &error))
            throw std::runtime_error(error.message);
        return found;
    }

    // The same, bit for bit, in two calls of which the second is made twice.
    void evaluate_in_two(reann_workspace *workspace, const reann_system &system, const Answer &one) {
        Answer two = one;
        two.extrapolation.assign(system.n_local, -1.0);
        reann_error error;
        if (!reann_forward(model_, 0, workspace, &system, two.energies.data(), two.outputs.data(),
                           &error))
            throw std::runtime_error(error.message);
        const std::vector<double> others(system.n_local, 2.0), of_outputs(two.outputs.size(), 0.5);
        for (const bool seeded : {true, false}) {
            const reann_result result = {nullptr, two.forces.data(), two.virial.data(),
                                         two.virials.data(), two.extrapolation.data(), nullptr};
            if (!reann_adjoint(workspace, seeded ? others.data() : nullptr,
                               seeded ? of_outputs.data() : nullptr, &result, &error))
                throw std::runtime_error(error.message);
        }
        if (!(two == one)) throw std::runtime_error("two calls are not one");
    }

    // With the same numbers again, and what no update takes.
    void update() {
        reann_error error;
        const int32_t n = static_cast<int32_t>(arrays_.size());
        if (!reann_update(model_, arrays_.data(), n, &error)) throw std::runtime_error(error.message);
        std::vector<reann_array> wrong = arrays_;
        wrong[0].type = wrong[0].type == REANN_FLOAT32 ? REANN_FLOAT64 : REANN_FLOAT32;
        if (reann_update(model_, wrong.data(), n, &error) ||
            reann_update(model_, arrays_.data(), n - 1, &error))
            throw std::runtime_error("other arrays are taken");
    }

    void find_neighbors(reann_workspace *workspace) {
        reann_list list;
        reann_error error;
        if (!reann_neighbors(workspace, system_.position, system_.n_atoms, case_.get<double>("cell"),
                             case_.get<int32_t>("periodic"), reann_cutoff(model_) + 0.3, &list,
                             &error))
            throw std::runtime_error(error.message);
        system_.first = list.first;
        system_.neighbor = list.neighbor;
        system_.shift = list.shift;
    }

    // Compares the largest deviation with the largest number that is expected.
    void compare_one(const std::string &name, const std::vector<double> &found) const {
        const double *expected = case_.get<double>(name);
        if (!expected) return;
        const int64_t n = static_cast<int64_t>(case_.find(name)->data.size() / sizeof(double));
        double largest = 0.0, away = 0.0;
        for (int64_t i = 0; i < n; ++i) {
            largest = std::fmax(largest, std::fabs(expected[i]));
            const double difference = std::fabs(found.at(i) - expected[i]);
            if (!(difference <= away)) away = difference; // NaN too
        }
        if (!(away <= *case_.get<double>("tolerance") * largest)) {
            char message[100];
            std::snprintf(message, sizeof message, ": off by %g of %g", away, largest);
            throw std::runtime_error(name + message);
        }
    }

    void compare(const Answer &found) const {
        compare_one("energies", found.energies);
        compare_one("forces", found.forces);
        compare_one("virial", found.virial);
        compare_one("virials", found.virials);
        compare_one("outputs", found.outputs);
        size_t a = 0;
        for (const Entry &entry : case_.entries)
            if (entry.type <= REANN_FLOAT64 && a < found.gradients.size())
                compare_one("gradient of " + entry.name, found.gradients[a++]);
    }

    void refuse(reann_workspace *workspace, const reann_system &impossible) const {
        std::vector<double> energies(impossible.n_local), forces(3 * impossible.n_atoms);
        const reann_result result = {energies.data(), forces.data(), nullptr, nullptr, nullptr, nullptr};
        reann_error error;
        if (reann_evaluate(model_, 0, workspace, &impossible, &result, &error))
            throw std::runtime_error("an impossible system has an answer");
    }

    void refuse_impossible(reann_workspace *workspace) const {
        const int64_t n = system_.n_atoms;
        if (n == 0) return;
        reann_system wrong = system_;
        std::vector<double> position(system_.position, system_.position + 3 * n);
        for (const double number : {std::numeric_limits<double>::quiet_NaN(),
                                    std::numeric_limits<double>::infinity()}) {
            position[3 * n - 1] = number;
            wrong.position = position.data();
            refuse(workspace, wrong);
        }
        wrong = system_;
        std::vector<int32_t> element(system_.element, system_.element + n);
        element[0] = reann_n_elements(model_);
        wrong.element = element.data();
        refuse(workspace, wrong);
        const int64_t n_neighbors = system_.first[system_.n_local];
        if (n_neighbors == 0) return;
        wrong = system_;
        std::vector<int32_t> neighbor(system_.neighbor, system_.neighbor + n_neighbors);
        for (const int64_t index : {int64_t(-1), n, int64_t(INT32_MAX)}) {
            neighbor.back() = static_cast<int32_t>(index);
            wrong.neighbor = neighbor.data();
            refuse(workspace, wrong);
        }
    }

    const Case &case_;
    reann_model *model_ = nullptr;
    reann_system system_ = {};
    Images images_ = {};
    std::vector<reann_array> arrays_;
    std::vector<int64_t> sizes_;
};

void open_potential(const char *path) {
    reann_error error;
    reann_model *model = reann_open(path, &error);
    if (!model) throw std::runtime_error(error.message);
    reann_close(model);
}

} // namespace

int main(int n_arguments, char **arguments) {
    std::printf("%s\n", reann_isa());
    reann_workspace *workspace = reann_workspace_new();
    int failures = 0;
    for (int i = 1; i < n_arguments; ++i) {
        try {
            if (std::strstr(arguments[i], ".reann")) {
                open_potential(arguments[i]);
                continue;
            }
            const Case stored = read_case(arguments[i]);
            Replay(stored).check(workspace);
        } catch (const std::exception &error) {
            std::fprintf(stderr, "%s: %s\n", arguments[i], error.what());
            ++failures;
        }
    }
    reann_workspace_free(workspace);
    return failures > 0;
}
