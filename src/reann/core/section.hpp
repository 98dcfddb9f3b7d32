// A JSON object of a header whose fields are read and checked one by one.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "array.hpp"
#include "json.hpp"

namespace reann {

constexpr int largest_count = 100'000;

[[noreturn]] inline void impossible(const std::string &name, const std::string &what) {
    throw Error("The header of the model is damaged, or newer than this program: " + name + " " +
                what + ". Copy the file again, or upgrade with `pip install --upgrade reann`.");
}

// A JSON object all of whose fields must be read.
class Section {
  public:
    Section(const Json &object, std::string name) : object_(object), name_(std::move(name)) {
        if (object.kind != Json::Kind::object) impossible(name_, "is no object");
    }

    const Json &field(const char *key) const {
        ++n_asked_;
        const Json *value = object_.find(key);
        if (!value) impossible(name_ + "." + key, "is missing");
        return *value;
    }

    double number(const char *key, double low, double high) const {
        const Json &value = field(key);
        const bool right = value.kind == Json::Kind::number;
        if (!right || !(value.number >= low && value.number <= high)) wrong(key);
        return value.number;
    }

    int count(const char *key, int low = 1, int high = largest_count) const {
        return as_count(field(key), key, low, high);
    }

    int as_count(const Json &value, const char *key, int low, int high) const {
        const double x = value.number;
        const bool right = value.kind == Json::Kind::number && x >= low && x <= high;
        if (!right || std::floor(x) != x) wrong(key);
        return static_cast<int>(x);
    }

    const std::vector<Json> &list(const char *key) const {
        const Json &value = field(key);
        if (value.kind != Json::Kind::list || value.values.empty()) wrong(key);
        return value.values;
    }

    bool flag(const char *key) const {
        const Json &value = field(key);
        if (value.kind != Json::Kind::boolean) wrong(key);
        return value.boolean;
    }

    // A field with only one allowed value.
    void constant(const char *key, const char *word) const {
        if (field(key).string != word) wrong(key);
    }

    // The choice named by a field.
    template <class Choice, size_t n>
    Choice choice(const char *key, const char *const (&names)[n]) const {
        return as_choice<Choice>(field(key).string, key, names);
    }

    template <class Choice, size_t n>
    Choice as_choice(const std::string &word, const char *key, const char *const (&names)[n]) const {
        const auto name = std::find(names, names + n, word);
        if (name == names + n) wrong(key);
        return static_cast<Choice>(name - names);
    }

    // The string of a field; `otherwise` if an older file does not have the field.
    std::string newer_word(const char *key, const char *otherwise) const {
        if (!object_.find(key)) return otherwise;
        const Json &value = field(key);
        if (value.kind != Json::Kind::string) wrong(key);
        return value.string.substr(0, 80);
    }

    // The strings of a list; `otherwise` if an older file does not have the field.
    std::vector<std::string> newer_words(const char *key, const char *otherwise) const {
        if (!object_.find(key)) return {otherwise};
        const Json &given = field(key);
        if (given.kind != Json::Kind::list) wrong(key);
        std::vector<std::string> words;
        for (const Json &value : given.values) {
            if (value.kind != Json::Kind::string) wrong(key);
            words.push_back(value.string.substr(0, 80));
        }
        return words;
    }

    // The number of a newer field; `otherwise` if the file does not have the field.
    int newer_count(const char *key, int otherwise) const {
        return object_.find(key) ? count(key) : otherwise;
    }

    // A switch; off if an older file does not have the field.
    bool newer_flag(const char *key) const { return object_.find(key) && flag(key); }

    // A number; 0 if it is null or if an older file does not have the field.
    double newer_number(const char *key, double lowest, double highest) const {
        const Json *value = object_.find(key);
        if (!value || value->kind != Json::Kind::null) return value ? number(key, lowest, highest) : 0.0;
        field(key);
        return 0.0;
    }

    // A field without meaning here, which files of older versions do not have.
    void newer(const char *key) const {
        if (object_.find(key)) field(key);
    }

    // Throws `Error` unless the fields of the object are exactly those that were read, each of them once.
    void no_other() const {
        if (object_.keys.size() != n_asked_) impossible(name_, "has an unknown field");
    }

    [[noreturn]] void wrong(const char *key) const {
        impossible(name_ + "." + key, "has no possible value");
    }

  private:
    const Json &object_;
    std::string name_;
    mutable size_t n_asked_ = 0;
};

} // namespace reann
