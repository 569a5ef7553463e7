#include "decode.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "errors.h"
#include "jpeg.h"
#include "jpeg_decode.h"

namespace ppcls {
namespace {

UserError NotAnImage(const Bytes& data) {
  return UserError("not a decodable image (" + std::to_string(data.size()) + " bytes)");
}

// BGR; empty for what OpenCV cannot decode.
cv::Mat DecodeBgr(const Bytes& data, int flags) {
  if (data.empty()) return {};
  try {
    return cv::imdecode(data, flags);
  } catch (const cv::Exception&) {  // an absurd size in a damaged header
    return {};
  }
}

Image ToRgb(const cv::Mat& bgr) {
  Image image(bgr.cols, bgr.rows);
  cv::Mat rgb(bgr.rows, bgr.cols, CV_8UC3, image.bytes.data());
  cv::cvtColor(bgr, rgb, cv::COLOR_BGR2RGB);
  return image;
}

// OpenCV 4.11's verdict on a JPEG; `image` is set for what was decoded here.
JpegResult TryJpeg(const Bytes& data, const JpegFacts& facts, bool turns, Image* image) {
  if (facts.is_complete && turns) return JpegResult::kUnusual;
  const JpegResult result = DecodePlainJpeg(data, image);
  if (result == JpegResult::kUnusual) return facts.is_complete ? result : JpegResult::kRefused;
  return result == JpegResult::kDecoded && turns ? JpegResult::kUnusual : result;
}

Image DecodeAs(const Bytes& data, const JpegFacts& facts, int flags) {
  if (facts.is_jpeg) {
    Image image;
    const bool turns = facts.has_exif && !(flags & cv::IMREAD_IGNORE_ORIENTATION);
    const JpegResult result = TryJpeg(data, facts, turns, &image);
    if (result == JpegResult::kRefused) throw NotAnImage(data);
    if (result == JpegResult::kDecoded) return image;
  }
  const cv::Mat bgr = DecodeBgr(data, flags);
  if (bgr.empty() || bgr.type() != CV_8UC3) throw NotAnImage(data);
  return ToRgb(bgr);
}

bool IsPlainPng(const Bytes& data) {
  constexpr std::uint8_t kHead[] = {0x89, 'P', 'N', 'G', 0x0D, 0x0A, 0x1A, 0x0A};
  constexpr std::size_t kBitDepth = 24;
  return data.size() > kBitDepth && std::equal(std::begin(kHead), std::end(kHead), data.begin()) &&
         data[kBitDepth] <= 8;
}

}  // namespace

Bytes ReadFile(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  Bytes data;
  std::uint8_t block[1 << 16];
  std::size_t count = 0;
  while (file && (count = std::fread(block, 1, sizeof block, file.get())) > 0) {
    data.insert(data.end(), block, block + count);
  }
  if (!file || std::ferror(file.get())) {
    throw UserError(path + ": cannot be read (" + std::strerror(errno) + ")");
  }
  return data;
}

Image Decode(const Bytes& data) { return DecodeAs(data, ReadJpegFacts(data), cv::IMREAD_COLOR); }

Image DecodeAsPillow(const Bytes& data) {
  const JpegFacts facts = ReadJpegFacts(data);
  const bool is_plain_jpeg = facts.is_complete && (facts.components == 1 || facts.components == 3);
  if (!is_plain_jpeg && !IsPlainPng(data)) {
    throw UserError(
        "DecodeImage with backend: pil takes complete JPEG (grey or colour) and PNG of 8 bits here, since "
        "Pillow decodes other kinds in its own way");
  }
  return DecodeAs(data, facts, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
}

bool IsImageFile(const std::string& path) {
  try {
    return cv::haveImageReader(path);
  } catch (const cv::Exception&) {
    return false;
  }
}

}  // namespace ppcls
