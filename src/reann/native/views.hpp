// Arrays of numpy or torch as bare pointers; memory, type and shape of each are checked.
#pragma once

#include <initializer_list>
#include <string>
#include <type_traits>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

namespace native {

namespace nb = nanobind;

[[noreturn]] inline void refuse(const std::string &message) { throw nb::value_error(message.c_str()); }

using ReadArray = nb::ndarray<nb::ro>;
using WriteArray = nb::ndarray<>;

// `source` as a contiguous array in the memory of the CPU.
template <class AnyArray> AnyArray take(const std::string &name, nb::handle source) {
    AnyArray array;
    if (!nb::try_cast(source, array, false))
        refuse(name + ": not " + (std::is_same_v<AnyArray, ReadArray> ? "an" : "a writable") +
               " array of numpy or torch");
    if (array.device_type() != nb::device::cpu::value) refuse(name + ": not in the CPU's memory");
    int64_t stride = 1;
    for (size_t k = array.ndim(); k-- > 0; stride *= int64_t(array.shape(k)))
        if (array.size() > 0 && array.shape(k) > 1 && array.stride(k) != stride)
            refuse(name + ": not contiguous");
    return array;
}

template <class AnyArray> std::string shape_of(const AnyArray &array) {
    std::string text;
    for (size_t k = 0; k < array.ndim(); ++k)
        text += (k ? ", " : "") + std::to_string(array.shape(k));
    return "(" + text + ")";
}

// The numbers of an argument, kept alive; T is const if they are only read.
template <class T> class View {
    std::conditional_t<std::is_const_v<T>, ReadArray, WriteArray> array;

  public:
    View() = default; // for None

    // -1 in `shape` is an axis of any length.
    View(const std::string &name, nb::handle source, std::initializer_list<int64_t> shape)
        : array(take<decltype(array)>(name, source)) {
        if (array.dtype() != nb::dtype<std::remove_const_t<T>>())
            refuse(name + ": expected numbers of type " +
                   (std::is_floating_point_v<T> ? "float" : "int") + std::to_string(8 * sizeof(T)));
        bool fits = array.ndim() == shape.size();
        size_t k = 0;
        for (int64_t n : shape) {
            fits = fits && (n < 0 || int64_t(array.shape(k)) == n);
            ++k;
        }
        if (!fits) refuse(name + ": shape " + shape_of(array) + " does not fit the system");
    }

    T *data() const { return static_cast<T *>(array.data()); }
    int64_t length() const { return int64_t(array.shape(0)); }
};

template <class T>
View<T> view_or_none(const char *name, nb::handle source, std::initializer_list<int64_t> shape) {
    return source.is_none() ? View<T>() : View<T>(name, source, shape);
}

} // namespace native
