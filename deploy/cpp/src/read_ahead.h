// Images are read and prepared by threads while the engine computes: in their order, and only so many at once.
#ifndef PPCLS_READ_AHEAD_H_
#define PPCLS_READ_AHEAD_H_

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "preprocess.h"

namespace ppcls {

// What became of one image: its input, or the error that says why there is none.
struct ReadImage {
  Prepared prepared;
  std::string error;
  double seconds = 0;
};

class ReadAhead {
 public:
  // `read` is called once for each number below `count`, by `threads` threads (0: by `Next`), at most `depth` of them
  // before they are taken.
  ReadAhead(std::function<ReadImage(std::size_t)> read, std::size_t count, int threads, std::size_t depth);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // The results in their order; to be called `count` times.
  ReadImage Next();

 private:
  void Work();

  const std::function<ReadImage(std::size_t)> read_;
  const std::size_t count_;
  const std::size_t depth_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::optional<ReadImage>> done_;
  std::size_t begun_ = 0;
  std::size_t taken_ = 0;
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace ppcls

#endif  // PPCLS_READ_AHEAD_H_
