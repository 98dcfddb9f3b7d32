// Memory that is reused from one evaluation to the next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "neighbors.hpp"
#include "reann.h"

namespace reann {

// An evaluation whose energies are known and whose seeds are still to come.
struct Kept {
    virtual ~Kept() = default;
    virtual void adjoint(const double *seeds, const double *output_seeds,
                         const reann_result &result) = 0;
};

// Memory of evaluations, kept from one to the next and enlarged when it is too small.
class Workspace {
  public:
    // Memory for `n` numbers, aligned to cache lines; contents from earlier use are not cleared.
    template <class T> T *take(int64_t n) {
        return static_cast<T *>(bytes(static_cast<size_t>(n > 0 ? n : 0) * sizeof(T) + 64));
    }
    void begin() { // frees everything that was taken before
        next_ = 0;
        kept.reset();
    }

    NeighborList neighbors;
    std::unique_ptr<Kept> kept;

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
