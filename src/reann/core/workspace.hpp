// Memory that lasts from one evaluation to the next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "neighbors.hpp"

namespace reann {

// Memory of evaluations, kept from one to the next and grown where it is too small.
class Workspace {
  public:
    // Room for `n` numbers, aligned to cache lines, with the contents of some earlier use.
    template <class T> T *take(int64_t n) {
        return static_cast<T *>(bytes(static_cast<size_t>(n > 0 ? n : 0) * sizeof(T) + 64));
    }
    void begin() { next_ = 0; } // what was taken before is free again

    NeighborList neighbors;

  private:
    void *bytes(size_t size);

    struct Free {
        void operator()(void *p) const { std::free(p); }
    };
    struct Part {
        std::unique_ptr<void, Free> memory;
        size_t size = 0;
    };
    std::vector<Part> parts_;
    size_t next_ = 0;
};

} // namespace reann
