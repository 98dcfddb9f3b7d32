// A team of threads that run the passes together.
//
// OpenMP if it was found at build time (its pool is shared with other libraries of the program); with
// REANN_STD_THREADS plain threads, which the thread sanitizer supports; else one thread.
#pragma once

#include <pthread.h>

#if defined(REANN_STD_THREADS)
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>
#elif defined(_OPENMP)
#include <omp.h>
#endif

namespace reann {

#if defined(REANN_STD_THREADS)

class Meeting {
  public:
    explicit Meeting(int size) : size_(size) {}
    void wait() {
        std::unique_lock<std::mutex> lock(mutex_);
        const int round = round_;
        if (++here_ == size_) {
            here_ = 0;
            ++round_;
            all_.notify_all();
        } else {
            all_.wait(lock, [&] { return round != round_; });
        }
    }

  private:
    const int size_;
    int here_ = 0, round_ = 0;
    std::mutex mutex_;
    std::condition_variable all_;
};

struct Team {
    int rank, size;
    Meeting *meeting;
    void meet() const {
        if (size > 1) meeting->wait();
    }
};

template <class Body> void together(int size, const Body &body) {
    Meeting meeting(size);
    std::vector<std::thread> others;
    for (int rank = 1; rank < size; ++rank)
        others.emplace_back([&, rank] { body(Team{rank, size, &meeting}); });
    body(Team{0, size, &meeting});
    for (std::thread &other : others) other.join();
}

#else

// A child of fork() has a copy of the pool without its threads, and would wait forever.
inline bool forked = false;

inline bool forks_are_noticed() {
    static const bool done = pthread_atfork(nullptr, nullptr, [] { forked = true; }) == 0;
    return done;
}

struct Team {
    int rank, size;
    void meet() const {
#if defined(_OPENMP)
        if (size > 1) {
#pragma omp barrier
        }
#endif
    }
};

template <class Body> void together(int size, const Body &body) {
#if defined(_OPENMP)
    if (size > 1 && forks_are_noticed() && !forked) {
#pragma omp parallel num_threads(size)
        body(Team{omp_get_thread_num(), omp_get_num_threads()});
        return;
    }
#endif
    (void)size;
    body(Team{0, 1});
}

#endif

} // namespace reann
