// Feeds the engine with files that libFuzzer invents: a refusal or an answer, never a crash.
//
//     options="-std=c++17 -O1 -g -Isrc/reann/core -DREANN_HAS_NATIVE -DREANN_LEVEL=native"
//     clang++ $options -fsanitize=address -c src/reann/core/kernels/*.cpp
//     clang++ $options -fsanitize=fuzzer,address,undefined -o fuzz_file tests/core/fuzz_file.cpp
//         src/reann/core/*.cpp level.o equivariant.o
//     ./fuzz_file -max_total_time=600 -max_len=32000 corpus tests/golden/files
//
// The first folder grows. Headers of models, beside whole files in it, reach `parse_settings` soon.
// Kernels are compiled alone: with the other sanitizers they take gigabytes and many minutes, and
// `make sanitize` has them.
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "file.hpp"
#include "settings.hpp"

namespace {

// Energies of a molecule of the elements that the model has, whatever they are.
void evaluate(const reann_model *model) {
    const int32_t element[3] = {0, reann_n_elements(model) - 1, 0};
    const int32_t neighbor[6] = {1, 2, 0, 2, 0, 1};
    const double position[9] = {0.0, 0.0, 0.0, 0.96, 0.05, 0.0, -0.24, 0.93, 0.1};
    const int64_t first[4] = {0, 2, 4, 6};
    double energies[3], forces[9], virial[9];
    reann_system system = {};
    system.n_local = system.n_atoms = 3;
    system.n_systems = system.n_threads = 1;
    system.element = element;
    system.position = position;
    system.first = first;
    system.neighbor = neighbor;
    reann_result result = {};
    result.energies = energies;
    result.forces = forces;
    result.virial = virial;
    std::vector<double> outputs(3 * reann_n_outputs(model));
    result.outputs = outputs.data();
    reann_workspace *workspace = reann_workspace_new();
    reann_error error;
    reann_evaluate(model, reann_n_members(model) - 1, workspace, &system, &result, &error);
    reann_workspace_free(workspace);
}

void build_and_evaluate(const reann::File &file) {
    std::vector<reann_array> arrays;
    for (const reann::Array &a : file.arrays)
        arrays.push_back({a.name.c_str(), a.type, static_cast<int32_t>(a.shape.size()),
                          a.shape.data(), a.data});
    reann_error error;
    reann_model *model = reann_build(file.header.c_str(), arrays.data(),
                                     static_cast<int32_t>(arrays.size()), &error);
    if (model) evaluate(model);
    if (model) reann_close(model);
}

template <class Function> void refused_or_right(Function function) {
    try {
        function();
    } catch (const reann::Error &error) {
        if (std::strlen(error.what()) >= sizeof(reann_error::message)) __builtin_trap();
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const std::string content(reinterpret_cast<const char *>(data), size);
    refused_or_right([&] { reann::parse_file(content); });
    refused_or_right([&] { build_and_evaluate(reann::parse_file(content, false)); });
    refused_or_right([&] { reann::parse_settings(content); });
    return 0;
}
