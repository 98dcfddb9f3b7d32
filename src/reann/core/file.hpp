// Reads files in the format that `reann/checkpoint.py` describes and writes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "array.hpp"

namespace reann {

struct File {
    std::string content;
    std::string header;        // the JSON object under "reann" in the metadata
    std::vector<Array> arrays; // their data are in `content`

    File() = default;
    File(File &&) = default; // never copied: the arrays would belong to the original
};

// Reads the file of a potential. Throws `Error` if the file is missing, of another kind, damaged or written
// by a newer version. A file of another kind is recognized by its first bytes and not read; neither is a file
// that is larger than any potential.
File read_file(const std::string &path);

// Size in bytes of a file with the header of a `.reann` file; the numbers are not read. Throws `Error`.
uint64_t file_size(const std::string &path);

// The same for the content of a file. Without `verify` the checksum is not compared, so that tests can reach
// the later checks.
File parse_file(std::string content, bool verify = true);

} // namespace reann
