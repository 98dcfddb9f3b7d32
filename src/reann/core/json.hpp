// Values of a JSON text, as much of JSON as the headers of files need.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace reann {

struct Json {
    enum class Kind { null, boolean, number, string, list, object };

    Kind kind = Kind::null;
    bool boolean = false;
    double number = 0.0; // exact for integers up to 2^53
    std::string string;  // escapes as UTF-8, everything else as it stands in the text
    std::vector<std::string> keys; // of an object, all different, in the order of the text
    std::vector<Json> values;      // of a list or an object

    // The value of an object's key, or NULL; linear in the number of keys.
    const Json *find(std::string_view key) const;
};

// Parses a whole text. Beyond the standard, NaN, Infinity and -Infinity are numbers, because
// Python writes them. Throws `Error`, also where a key stands twice, where values are nested too
// deeply or too many, and where a number is larger than a double.
Json parse_json(std::string_view text);

// The beginning of a text from a file, fit for a message: in quotes, printable ASCII only.
std::string printable(std::string_view text);

} // namespace reann
