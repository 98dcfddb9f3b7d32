// SHA-256 (FIPS 180-4), for the checksum of files.
#pragma once

#include <string>
#include <string_view>

namespace reann {

// The digest in 64 hexadecimal digits.
std::string sha256(std::string_view content);

} // namespace reann
