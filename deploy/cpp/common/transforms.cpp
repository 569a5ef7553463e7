#include "transforms.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "resize.h"

namespace ppcls {

Size ShortSideSize(Size size, int shorter) {
  const double percent = static_cast<double>(shorter) / std::min(size.width, size.height);
  return {static_cast<int>(std::nearbyint(size.width * percent)),
          static_cast<int>(std::nearbyint(size.height * percent))};
}

Image ResizeShort(const Image& image, int shorter) {
  return ResizeLinear(image, ShortSideSize({image.width, image.height}, shorter));
}

Image CenterCrop(const Image& image, Size size) {
  if (image.width < size.width || image.height < size.height) {
    throw std::invalid_argument("CropImage: the image is " + std::to_string(image.width) + "x" +
                                std::to_string(image.height) + ", smaller than the crop " + std::to_string(size.width) +
                                "x" + std::to_string(size.height));
  }
  const int left = (image.width - size.width) / 2;
  const int top = (image.height - size.height) / 2;
  Image result(size.width, size.height);
  for (int y = 0; y < size.height; ++y) {
    const std::uint8_t* source = image.row(top + y) + static_cast<std::size_t>(left) * kChannels;
    std::copy(source, source + result.row_bytes(), result.row(y));
  }
  return result;
}

void SwapRedAndBlue(Image* image) {
  for (std::size_t at = 0; at < image->bytes.size(); at += kChannels) {
    std::swap(image->bytes[at], image->bytes[at + 2]);
  }
}

Normalizer::Normalizer(double scale, const std::array<double, kChannels>& mean,
                       const std::array<double, kChannels>& deviation) {
  for (std::size_t c = 0; c < kChannels; ++c) {
    for (std::size_t value = 0; value < tables_[c].size(); ++value) {
      // NumPy rounds after each step; volatile keeps compilers for ARM from fusing two of them.
      volatile float number = static_cast<float>(value) * static_cast<float>(scale);
      number = number - static_cast<float>(mean[c]);
      number = number / static_cast<float>(deviation[c]);
      tables_[c][value] = number;
    }
  }
}

void Normalizer::ToChw(const Image& image, float* out) const {
  const std::size_t pixels = image.bytes.size() / kChannels;
  for (std::size_t c = 0; c < kChannels; ++c) {
    const std::uint8_t* source = image.bytes.data() + c;
    const float* table = tables_[c].data();
    for (std::size_t i = 0; i < pixels; ++i) *out++ = table[source[i * kChannels]];
  }
}

}  // namespace ppcls
