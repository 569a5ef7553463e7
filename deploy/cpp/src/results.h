// The files that a prediction leaves: each is there when it is complete, and never a part of one.
#ifndef PPCLS_RESULTS_H_
#define PPCLS_RESULTS_H_

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "tensor.h"

namespace ppcls {

// Written beside `path`, and moved there by `Commit`. Throws UserError where it cannot be written.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void Write(const void* data, std::size_t size);
  void Write(const std::string& text) { Write(text.data(), text.size()); }
  void Rewind();
  void Commit();

 private:
  [[noreturn]] void Fail() const;

  std::string path_;
  std::string partial_;
  std::FILE* file_;
};

// float32 rows of one shape, as numpy.load reads them.
class NpyFile {
 public:
  explicit NpyFile(const std::string& path) : path_(path), file_(path) {}

  // Adds all rows of `rows`, whose first dimension counts them. Throws UserError for rows of another shape.
  void Add(const Tensor& rows);
  void Commit();

 private:
  std::string Header() const;

  std::string path_;
  AtomicFile file_;
  std::int64_t rows_ = 0;
  std::vector<std::int64_t> row_shape_;
};

}  // namespace ppcls

#endif  // PPCLS_RESULTS_H_
