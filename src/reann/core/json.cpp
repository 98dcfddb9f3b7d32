#include "json.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <locale>
#include <sstream>

#include "array.hpp"
#include "facts.hpp"

namespace reann {

namespace {

// Limits for headers: a text of a few bytes per value takes 120 bytes per value in memory.
constexpr size_t most_values = 2'000'000;
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinite = std::numeric_limits<double>::infinity();

class Parser {
  public:
    explicit Parser(std::string_view text) : text_(text) {}

    Json document() {
        Json result = value(0);
        blanks();
        if (at_ != text_.size()) fail("text after the end");
        return result;
    }

  private:
    [[noreturn]] void fail(const std::string &what) const {
        throw Error("This is not JSON: " + what + " at byte " + std::to_string(at_));
    }

    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

    void blanks() {
        while (at_ < text_.size() && std::string_view(" \t\n\r").find(text_[at_]) < 4) ++at_;
    }

    bool skip(std::string_view word) {
        if (text_.substr(at_, word.size()) != word) return false;
        at_ += word.size();
        return true;
    }

    void expect(std::string_view word) {
        blanks();
        if (!skip(word)) fail("no " + std::string(word));
    }

    Json value(int depth) {
        if (++n_values_ > most_values) fail("too many values");
        blanks();
        Json v;
        if (peek() == '{' || peek() == '[') {
            v.kind = peek() == '{' ? Json::Kind::object : Json::Kind::list;
            members(v, depth);
        } else if (peek() == '"') {
            v.kind = Json::Kind::string;
            v.string = string();
        } else if (const bool yes = skip("true"); yes || skip("false")) {
            v.kind = Json::Kind::boolean;
            v.boolean = yes;
        } else if (!skip("null")) {
            v.kind = Json::Kind::number;
            v.number = number();
        }
        return v;
    }

    void members(Json &v, int depth) {
        const bool object = v.kind == Json::Kind::object;
        const char *end = object ? "}" : "]";
        if (depth == deepest_header) fail("nested too deeply");
        ++at_;
        blanks();
        if (skip(end)) return;
        do {
            if (object) {
                blanks();
                if (peek() != '"') fail("no key");
                v.keys.push_back(string());
                expect(":");
            }
            v.values.push_back(value(depth + 1));
            blanks();
        } while (skip(","));
        expect(end);
        std::vector<std::string_view> sorted(v.keys.begin(), v.keys.end());
        std::sort(sorted.begin(), sorted.end());
        if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) fail("a key twice");
    }

    std::string string() {
        std::string s;
        for (++at_; peek() != '"';) {
            if (at_ >= text_.size()) fail("a string without end");
            if (static_cast<unsigned char>(peek()) < 0x20) fail("a control character in a string");
            if (skip("\\"))
                escape(s);
            else
                s += text_[at_++];
        }
        ++at_;
        return s;
    }

    void escape(std::string &s) {
        static constexpr std::string_view names = "\"\\/bfnrt", meant = "\"\\/\b\f\n\r\t";
        if (const size_t which = names.find(peek()); which < names.size()) {
            s += meant[which];
            ++at_;
            return;
        }
        if (!skip("u")) fail("an unknown escape");
        unsigned code = hex();
        // Characters beyond U+FFFF are two escapes; half of a pair is kept unchanged.
        if (code >= 0xD800 && code < 0xDC00 && text_.substr(at_, 2) == "\\u") {
            const size_t after = at_;
            at_ += 2;
            const unsigned low = hex();
            if (low >= 0xDC00 && low < 0xE000)
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            else
                at_ = after;
        }
        append_utf8(s, code);
    }

    unsigned hex() {
        unsigned code = 0;
        for (int i = 0; i < 4; ++i, ++at_) {
            const char c = peek();
            const bool digit = c >= '0' && c <= '9';
            const char letter = static_cast<char>(c | 0x20);
            if (!digit && !(letter >= 'a' && letter <= 'f')) fail("no hexadecimal digit");
            code = 16 * code + static_cast<unsigned>(digit ? c - '0' : letter - 'a' + 10);
        }
        return code;
    }

    static void append_utf8(std::string &s, unsigned code) {
        const int n_more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
        static constexpr unsigned first[] = {0x00, 0xC0, 0xE0, 0xF0};
        s += static_cast<char>(first[n_more] | (code >> (6 * n_more)));
        for (int i = n_more - 1; i >= 0; --i)
            s += static_cast<char>(0x80 | ((code >> (6 * i)) & 0x3F));
    }

    void digits() {
        if (peek() < '0' || peek() > '9') fail("no value");
        while (peek() >= '0' && peek() <= '9') ++at_;
    }

    double number() {
        if (skip("NaN")) return not_a_number;
        const size_t start = at_;
        const bool negative = skip("-");
        if (skip("Infinity")) return negative ? -infinite : infinite;
        if (!skip("0")) digits();
        if (skip(".")) digits();
        if (skip("e") || skip("E")) {
            if (!skip("+")) skip("-");
            digits();
        }
        std::istringstream stream{std::string(text_.substr(start, at_ - start))};
        stream.imbue(std::locale::classic()); // decimal point in any locale
        double x = 0.0;
        if (!(stream >> x)) fail("a number out of range");
        return x;
    }

    std::string_view text_;
    size_t at_ = 0;
    size_t n_values_ = 0;
};

} // namespace

const Json *Json::find(std::string_view key) const {
    const auto found = std::find(keys.begin(), keys.end(), key);
    return found == keys.end() ? nullptr : &values[static_cast<size_t>(found - keys.begin())];
}

Json parse_json(std::string_view text) { return Parser(text).document(); }

std::string printable(std::string_view text) {
    constexpr size_t longest = 60;
    std::string s = "'";
    for (char c : text.substr(0, longest)) s += c >= ' ' && c <= '~' ? c : '?';
    return s + (text.size() > longest ? "...'" : "'");
}

} // namespace reann
