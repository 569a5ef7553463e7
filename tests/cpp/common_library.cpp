// deploy/cpp/common behind C functions, so that the tests call it from Python.
#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "pillow_resize.h"
#include "resize.h"
#include "top_k.h"
#include "transforms.h"

namespace {

ppcls::Image Wrap(const unsigned char* bytes, int width, int height) {
  ppcls::Image image(width, height);
  std::copy(bytes, bytes + image.bytes.size(), image.bytes.begin());
  return image;
}

}  // namespace

extern "C" {

// `kind` is 0 bilinear, 1 area, 2 nearest.
void Resize(int kind, const unsigned char* bytes, int width, int height, unsigned char* out, int new_width,
            int new_height) {
  const ppcls::Image image = Wrap(bytes, width, height);
  const ppcls::Size size = {new_width, new_height};
  const auto resize = kind == 0 ? ppcls::ResizeLinear : kind == 1 ? ppcls::ResizeArea : ppcls::ResizeNearest;
  const ppcls::Image result = resize(image, size);
  std::copy(result.bytes.begin(), result.bytes.end(), out);
}

// `filter` is Pillow's number: 0 nearest, 1 lanczos, 2 bilinear, 3 bicubic, 4 box, 5 hamming.
void ResizeAsPillow(int filter, const unsigned char* bytes, int width, int height, unsigned char* out, int new_width,
                    int new_height) {
  using ppcls::PillowFilter;
  constexpr PillowFilter kFilters[] = {PillowFilter::kNearest, PillowFilter::kLanczos, PillowFilter::kBilinear,
                                       PillowFilter::kBicubic, PillowFilter::kBox,     PillowFilter::kHamming};
  const ppcls::Image result =
      ppcls::ResizeAsPillow(Wrap(bytes, width, height), {new_width, new_height}, kFilters[filter]);
  std::copy(result.bytes.begin(), result.bytes.end(), out);
}

void ShortSideSize(int width, int height, int shorter, int* size) {
  const ppcls::Size found = ppcls::ShortSideSize({width, height}, shorter);
  size[0] = found.width;
  size[1] = found.height;
}

int Crop(const unsigned char* bytes, int width, int height, unsigned char* out, int crop_width, int crop_height) {
  try {
    const ppcls::Image result = ppcls::CenterCrop(Wrap(bytes, width, height), {crop_width, crop_height});
    std::copy(result.bytes.begin(), result.bytes.end(), out);
    return 0;
  } catch (const std::invalid_argument&) {
    return 1;
  }
}

void Normalize(const unsigned char* bytes, int width, int height, double scale, const double* mean,
               const double* deviation, float* out) {
  const ppcls::Normalizer normalizer(scale, {mean[0], mean[1], mean[2]}, {deviation[0], deviation[1], deviation[2]});
  normalizer.ToChw(Wrap(bytes, width, height), out);
}

// The line of predict_cls.py; `names` has one line per class, or is empty.
void Line(const float* scores, int count, int k, const char* names, const char* path, char* out, int room) {
  std::vector<std::string> each;
  for (const char* at = names; *at;) {
    const char* end = std::strchr(at, '\n');
    each.emplace_back(at, end);
    at = end + 1;
  }
  const std::string line = ppcls::FormatLine(ppcls::TopClasses(scores, static_cast<std::size_t>(count), k, each), path);
  std::strncpy(out, line.c_str(), static_cast<std::size_t>(room) - 1);
}

void Quoted(const char* text, char* out, int room) {
  std::strncpy(out, ppcls::PythonQuoted(text).c_str(), static_cast<std::size_t>(room) - 1);
}
}
