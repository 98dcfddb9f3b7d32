// Feeds the reader of files with whatever libFuzzer invents: an `Error` or a file, never a crash.
//
//     cd src/reann/core
//     clang++ -std=c++17 -O1 -g -fsanitize=fuzzer,address,undefined -I. -o fuzz_file
//         ../../../tests/core/fuzz_file.cpp file.cpp json.cpp settings.cpp sha256.cpp
//     ./fuzz_file -max_total_time=600 corpus ../../../tests/golden/files
//
// The first folder grows. Headers of models beside whole files in it reach `parse_settings` sooner.
#include <cstdint>
#include <cstring>
#include <string>

#include "file.hpp"
#include "settings.hpp"

namespace {

// Reads every byte of the tensors, which the sanitizer watches.
unsigned sum_of_bytes(const reann::File &file) {
    unsigned sum = 0;
    for (const reann::Array &array : file.arrays) {
        const auto *bytes = static_cast<const unsigned char *>(array.data);
        const int64_t n = array.size() * (array.type == REANN_FLOAT64 ? 8 : 4);
        for (int64_t i = 0; i < n; ++i) sum += bytes[i];
    }
    return sum;
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
    [[maybe_unused]] static volatile unsigned kept;
    refused_or_right([&] { kept = sum_of_bytes(reann::parse_file(content)); });
    refused_or_right([&] {
        const reann::File file = reann::parse_file(content, false);
        kept = sum_of_bytes(file);
        reann::parse_settings(file.header);
    });
    refused_or_right([&] { reann::parse_settings(content); });
    return 0;
}
