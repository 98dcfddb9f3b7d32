// Parts of the reader that the C interface does not show, for tests from Python.
#include <cstring>

#include "array.hpp"
#include "json.hpp"
#include "sha256.hpp"

extern "C" void test_sha256(const char *content, size_t n_bytes, char *digits) {
    std::strcpy(digits, reann::sha256({content, n_bytes}).c_str());
}

extern "C" int test_json(const char *text, size_t n_bytes) {
    try {
        reann::parse_json({text, n_bytes});
        return 1;
    } catch (const reann::Error &) {
        return 0;
    }
}
