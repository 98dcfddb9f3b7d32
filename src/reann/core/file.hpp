// Files of the format that `reann/checkpoint.py` describes and writes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "array.hpp"

namespace reann {

struct File {
    std::string content;
    std::string header;        // the JSON object under "reann" in the metadata
    std::vector<Array> arrays; // their data lie in `content`

    File() = default;
    File(File &&) = default; // never copied: the arrays would belong to the original
};

// Reads a file that holds a potential. Throws `Error` where it is absent, of another kind, damaged
// or newer than this program. What is no such file is told by its first bytes, and not read; nor is
// what is larger than any potential.
File read_file(const std::string &path);

// Bytes of a file whose header is that of a file of reann; its numbers are not read. Throws `Error`.
uint64_t file_size(const std::string &path);

// The same for the content of a file. Without `verify` its checksum does not count, so that tests
// reach what is behind it.
File parse_file(std::string content, bool verify = true);

} // namespace reann
