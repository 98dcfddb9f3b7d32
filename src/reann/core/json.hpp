// Values of a JSON text: the part of JSON that headers of files need.
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
    std::string string;  // escapes become UTF-8, everything else is unchanged
    std::vector<std::string> keys; // of an object, all different, in the order of the text
    std::vector<Json> values;      // of a list or an object

    // The value of an object's key, or NULL; linear in the number of keys.
    const Json *find(std::string_view key) const;
};

// Parses a whole text. In addition to the standard, NaN, Infinity and -Infinity are numbers, because Python
// writes them. Throws `Error`, also if a key occurs twice, if there are too many values or they are nested
// too deeply, and if a number is larger than a double can represent.
Json parse_json(std::string_view text);

// The beginning of a text from a file for a message: in quotes, printable ASCII only.
std::string printable(std::string_view text);

} // namespace reann
