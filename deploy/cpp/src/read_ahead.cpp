#include "read_ahead.h"

#include <algorithm>
#include <utility>

namespace ppcls {

ReadAhead::ReadAhead(std::function<ReadImage(std::size_t)> read, std::size_t count, int threads, std::size_t depth)
    : read_(std::move(read)), count_(count), depth_(std::max<std::size_t>(depth, 1)), done_(count) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ReadAhead::Work() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopped_ || begun_ == count_ || begun_ < taken_ + depth_; });
    if (stopped_ || begun_ == count_) return;
    const std::size_t number = begun_++;
    lock.unlock();
    ReadImage image = read_(number);
    lock.lock();
    done_[number] = std::move(image);
    changed_.notify_all();
  }
}

ReadImage ReadAhead::Next() {
  if (threads_.empty()) return read_(taken_++);
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return done_[taken_].has_value(); });
  ReadImage image = std::move(*done_[taken_]);
  done_[taken_++].reset();
  changed_.notify_all();
  return image;
}

}  // namespace ppcls
