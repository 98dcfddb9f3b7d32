#include "workspace.hpp"

#include "array.hpp"

namespace reann {

void *Workspace::bytes(size_t size) {
    if (next_ == parts_.size()) parts_.emplace_back();
    Part &part = parts_[next_++];
    if (part.size < size) {
        part.memory.reset();
        part.size = 0;
        const size_t room = (size + size / 8 + 63) / 64 * 64;
        part.memory.reset(std::aligned_alloc(64, room));
        if (!part.memory)
            throw Error("There is not enough memory: " + std::to_string(room >> 20) +
                        " MiB more are needed. Compute fewer atoms at once.");
        part.size = room;
    }
    return part.memory.get();
}

} // namespace reann
