#include "results.h"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "errors.h"

namespace ppcls {
namespace {

constexpr std::size_t kHeaderBytes = 128;  // of a .npy file of format 1.0

}  // namespace

AtomicFile::AtomicFile(const std::string& path) : path_(path), partial_(path + ".partial") {
  const auto folder = std::filesystem::path(path).parent_path();
  std::error_code ignored;
  if (!folder.empty()) std::filesystem::create_directories(folder, ignored);
  file_ = std::fopen(partial_.c_str(), "wb");
  if (file_ == nullptr) Fail();
}

AtomicFile::~AtomicFile() {
  if (file_ == nullptr) return;
  std::fclose(file_);
  std::remove(partial_.c_str());
}

void AtomicFile::Fail() const { throw UserError(path_ + ": cannot be written (" + std::strerror(errno) + ")"); }

void AtomicFile::Write(const void* data, std::size_t size) {
  if (size > 0 && std::fwrite(data, 1, size, file_) != size) Fail();
}

void AtomicFile::Rewind() {
  if (std::fseek(file_, 0, SEEK_SET) != 0) Fail();
}

void AtomicFile::Commit() {
  if (std::fflush(file_) != 0 || std::rename(partial_.c_str(), path_.c_str()) != 0) Fail();
  std::fclose(file_);
  file_ = nullptr;
}

void NpyFile::Add(const Tensor& rows) {
  const std::vector<std::int64_t> shape(rows.shape.begin() + 1, rows.shape.end());
  if (rows_ == 0) {
    row_shape_ = shape;
    file_.Write(Header());  // in the end, it gets the number of rows
  } else if (shape != row_shape_) {
    throw UserError(path_ + ": the arrays of the images differ in shape, " + ShapeText(row_shape_) + " and " +
                    ShapeText(shape) + ": they cannot be saved in one file");
  }
  file_.Write(rows.values.data(), rows.values.size() * sizeof(float));
  rows_ += rows.shape[0];
}

std::string NpyFile::Header() const {
  std::string shape = std::to_string(rows_) + ",";
  for (const std::int64_t side : row_shape_) shape += " " + std::to_string(side) + ",";
  std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + shape + "), }";
  text.resize(kHeaderBytes - 10 - 1, ' ');
  const std::string magic("\x93NUMPY\x01\x00", 8);
  return magic + std::string{static_cast<char>(kHeaderBytes - 10), '\0'} + text + '\n';
}

void NpyFile::Commit() {
  if (rows_ == 0) throw UserError(path_ + ": no image was predicted, so there is nothing to save");
  file_.Rewind();
  file_.Write(Header());
  file_.Commit();
}

}  // namespace ppcls
