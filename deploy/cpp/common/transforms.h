// The transforms of an exported classifier, bit for bit those of ppcls_lite/data/transforms/basic.py.
#ifndef PPCLS_COMMON_TRANSFORMS_H_
#define PPCLS_COMMON_TRANSFORMS_H_

#include <array>

#include "image.h"

namespace ppcls {

// The size at which the shorter side has `shorter` pixels. Halves are rounded to the even number, as Python rounds.
Size ShortSideSize(Size size, int shorter);

// ResizeImage with `resize_short` and OpenCV's bilinear interpolation.
Image ResizeShort(const Image& image, int shorter);

// CropImage: the centre; an odd pixel goes right and below. Throws std::invalid_argument for a smaller image.
Image CenterCrop(const Image& image, Size size);

// From RGB to BGR, or back.
void SwapRedAndBlue(Image* image);

// NormalizeImage and ToCHWImage in one: (byte * scale - mean) / std in float32, channels first.
class Normalizer {
 public:
  Normalizer(double scale, const std::array<double, kChannels>& mean, const std::array<double, kChannels>& deviation);

  // Writes 3 * height * width numbers.
  void ToChw(const Image& image, float* out) const;

 private:
  std::array<std::array<float, 256>, kChannels> tables_;  // a byte has 256 values: each is computed once
};

}  // namespace ppcls

#endif  // PPCLS_COMMON_TRANSFORMS_H_
