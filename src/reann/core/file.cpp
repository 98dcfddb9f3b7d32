#include "file.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <utility>

#include "facts.hpp"
#include "json.hpp"
#include "sha256.hpp"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the numbers of a file are used as they are, little-endian"
#endif

namespace reann {

namespace {

constexpr size_t most_axes = 8;
constexpr double largest_exact = 9007199254740992.0; // 2^53
constexpr size_t n_length = 8, n_digest = 64;        // bytes

constexpr const char *repair = " Copy the file again, or restore it from a backup.";

// The end of a long path, so that a message has room for more; no character is split.
std::string shown(const std::string &path) {
    constexpr size_t longest = 200;
    if (path.size() <= longest) return path;
    size_t start = path.size() - longest;
    while (start < path.size() && (path[start] & 0xC0) == 0x80) ++start;
    return "..." + path.substr(start);
}

[[noreturn]] void damaged(const std::string &what) { throw Error(what + repair); }

// Length of the header, from the first 8 bytes of a file of `n_bytes` bytes.
size_t header_length(std::string_view first, uint64_t n_bytes) {
    if (n_bytes == 0) damaged("The file is empty.");
    uint64_t length = 0;
    if (first.size() == n_length)
        for (size_t i = n_length; i-- > 0;)
            length = length << 8 | static_cast<unsigned char>(first[i]);
    if (length >= 2 && length <= largest_header && length <= n_bytes - n_length) return length;
    const bool pickle = first.substr(0, 2) == "PK" ||
                        (first.size() > 1 && first[0] == '\x80' && first[1] >= 2 && first[1] <= 5);
    throw Error(std::string("This is not a reann file: it looks like ") +
                (pickle ? "a pickle or zip archive." : "another format, or it is truncated.") +
                " Original REANN models are read by `reann convert`.");
}

Json parse_header(std::string_view text) {
    try {
        return parse_json(text);
    } catch (const Error &error) {
        damaged(std::string("The header of the file is damaged. ") + error.what() + ".");
    }
}

const std::string &metadata_entry(const Json &header, const char *key) {
    const Json *metadata = header.find("__metadata__");
    const Json *entry = metadata ? metadata->find(key) : nullptr;
    if (!entry || entry->kind != Json::Kind::string)
        throw Error("This is a safetensors file, but not one of reann. Original REANN models are "
                    "read by `reann convert`.");
    return entry->string;
}

// The parsed header of a file, without the numbers behind it.
struct Head {
    Json header;
    std::string about, digest;
};

Head parse_head(std::string_view text, uint64_t n_bytes) {
    Head head{parse_header(text), "", ""};
    head.about = metadata_entry(head.header, "reann");
    head.digest = metadata_entry(head.header, "sha256");
    if (n_bytes > largest_file)
        damaged("The file is damaged: it has " + std::to_string(n_bytes >> 30) +
                " GiB, and files of reann have at most " +
                std::to_string(largest_file >> 30) + ".");
    return head;
}

// The digest is computed from the whole content with zeros in place of the digest.
void verify_digest(std::string &content, size_t n_header, const std::string &digest) {
    constexpr std::string_view key = "\"sha256\":\"";
    const std::string_view head = std::string_view(content).substr(0, n_length + n_header);
    const size_t found = head.find(key, n_length);
    const size_t start = found + key.size();
    bool right = digest.size() == n_digest && found != std::string::npos &&
                 content.compare(start, n_digest, digest) == 0;
    if (right) {
        content.replace(start, n_digest, n_digest, '0');
        right = sha256(content) == digest;
        content.replace(start, n_digest, digest);
    }
    if (!right) damaged("The file is damaged: its checksum does not match.");
}

// Returns the version of the format.
int check_kind(const Json &header) {
    const Json *kind = header.find("kind"), *version = header.find("format");
    if (!version || version->kind != Json::Kind::number) damaged("The file has no format version.");
    if (version->number > format_version)
        throw Error("The file has a newer format than this program reads. Upgrade with `pip "
                    "install --upgrade reann`.");
    if (!(version->number >= 1.0) || std::floor(version->number) != version->number)
        damaged("The file has a format version that does not exist.");
    if (!kind || kind->string != "potential")
        throw Error("This file does not contain a potential. Use the model.reann of a run.");
    return static_cast<int>(version->number);
}

std::string present_name(std::string name, int version) {
    const size_t begin = name.find('.') + 1; // after the number of the member
    for (int v = version; v < format_version; ++v)
        for (const Renamed &r : renamed)
            if (const std::string_view before = r.before;
                r.version == v && name.compare(begin, before.size(), before) == 0) {
                name.replace(begin, before.size(), r.now);
                break;
            }
    return name;
}

// A number of elements or bytes; -1 if the value is not one.
int64_t whole_number(const Json &value) {
    const double x = value.kind == Json::Kind::number ? value.number : -1.0;
    if (!(x >= 0.0 && x <= largest_exact) || std::floor(x) != x) return -1;
    return static_cast<int64_t>(x);
}

std::vector<int64_t> whole_numbers(const Json *list) {
    std::vector<int64_t> numbers;
    if (list && list->kind == Json::Kind::list && list->values.size() <= most_axes)
        for (const Json &value : list->values) numbers.push_back(whole_number(value));
    else
        numbers.push_back(-1);
    return numbers;
}

// Whether all numbers, which need not be aligned, are finite (or at least not NaN).
template <class Real> bool are_finite(const char *data, int64_t n, bool infinite_too) {
    for (int64_t i = 0; i < n; ++i) {
        Real x;
        std::memcpy(&x, data + i * int64_t(sizeof x), sizeof x);
        if (infinite_too ? std::isnan(x) : !std::isfinite(x)) return false;
    }
    return true;
}

bool ends_with(const std::string &text, std::string_view end) {
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

Array tensor(const std::string &name, const Json &entry, std::string_view data) {
    const auto bad = [&](const char *what) {
        damaged("The tensor " + printable(name) + " of the file " + what + ".");
    };
    const Json *type = entry.find("dtype");
    Array array;
    array.name = name;
    array.type = type && type->string == "F64" ? REANN_FLOAT64 : REANN_FLOAT32;
    if (!type || (type->string != "F32" && type->string != "F64"))
        bad("is not of type F32 or F64");
    array.shape = whole_numbers(entry.find("shape"));
    const auto n_bytes = static_cast<int64_t>(data.size());
    int64_t size = array.type == REANN_FLOAT64 ? 8 : 4;
    for (int64_t axis : array.shape) {
        if (axis < 0 || (axis > 0 && size > n_bytes / axis)) bad("has an impossible shape");
        size *= axis;
    }
    const std::vector<int64_t> range = whole_numbers(entry.find("data_offsets"));
    if (range.size() != 2 || range[0] < 0 || range[1] > n_bytes || range[1] - range[0] != size)
        bad("lies outside of it or has another size");
    const char *numbers = data.data() + range[0];
    // The ranges of features may be infinite.
    const bool is_range = ends_with(name, ".density_min") || ends_with(name, ".density_max");
    const bool right = array.type == REANN_FLOAT64 ? are_finite<double>(numbers, size / 8, is_range)
                                                   : are_finite<float>(numbers, size / 4, is_range);
    if (!right)
        throw Error("The tensor " + printable(name) + " of the file has numbers that are not finite. Its "
                    "training diverged, or it was changed: use another file.");
    array.data = numbers;
    return array;
}

// Makes the file from its content and its parsed header.
File file_of(std::string content, size_t n_header, Head head, bool verify) {
    File file;
    file.content = std::move(content);
    file.header = std::move(head.about);
    if (verify) verify_digest(file.content, n_header, head.digest);
    const int version = check_kind(parse_header(file.header));

    const std::string_view data = std::string_view(file.content).substr(n_length + n_header);
    const Json &header = head.header;
    for (size_t i = 0; i < header.keys.size(); ++i)
        if (header.keys[i] != "__metadata__")
            file.arrays.push_back(tensor(present_name(header.keys[i], version), header.values[i], data));
    return file;
}

// A file that is read only as far as it is known to be a potential.
class Reader {
  public:
    explicit Reader(const std::string &path) {
        std::error_code error;
        n_bytes_ = std::filesystem::file_size(path, error);
        if (error == std::errc::no_such_file_or_directory)
            throw Error("There is no such file. Check the path.");
        if (error) throw Error("The file cannot be read (" + error.message() + ").");
        stream_.open(path, std::ios::binary);
        if (!stream_) throw Error("The file cannot be read. Check its permissions.");
        read_to(n_length);
        n_header_ = header_length(content_, n_bytes_);
        read_to(n_length + n_header_);
        head_ = parse_head(std::string_view(content_).substr(n_length), n_bytes_);
    }

    uint64_t n_bytes() const { return n_bytes_; }

    File rest() {
        read_to(n_bytes_);
        return file_of(std::move(content_), n_header_, std::move(head_), true);
    }

  private:
    void read_to(uint64_t end) {
        const uint64_t begin = content_.size();
        content_.resize(std::min(end, n_bytes_));
        stream_.read(content_.data() + begin, static_cast<std::streamsize>(content_.size() - begin));
        if (!stream_) throw Error("The file cannot be read to its end.");
    }

    std::ifstream stream_;
    std::string content_;
    uint64_t n_bytes_ = 0;
    size_t n_header_ = 0;
    Head head_;
};

// Returns the result of an action on a path; its errors name the path.
template <class Action> auto named(const std::string &path, Action action) {
    try {
        return action();
    } catch (const Error &error) {
        throw Error(shown(path) + ": " + error.what());
    }
}

} // namespace

File parse_file(std::string content, bool verify) {
    const std::string_view all = content;
    const size_t n_header = header_length(all.substr(0, n_length), all.size());
    Head head = parse_head(all.substr(n_length, n_header), all.size());
    return file_of(std::move(content), n_header, std::move(head), verify);
}

File read_file(const std::string &path) {
    return named(path, [&] { return Reader(path).rest(); });
}

uint64_t file_size(const std::string &path) {
    return named(path, [&] { return Reader(path).n_bytes(); });
}

} // namespace reann
