// An image in memory, as every transform here takes and returns it.
#ifndef PPCLS_COMMON_IMAGE_H_
#define PPCLS_COMMON_IMAGE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ppcls {

constexpr int kChannels = 3;

// Rows from top to bottom, pixels from left to right, three bytes per pixel: red, green, blue (HWC).
struct Image {
  Image() = default;
  Image(int image_width, int image_height)
      : width(image_width),
        height(image_height),
        bytes(static_cast<std::size_t>(image_width) * static_cast<std::size_t>(image_height) * kChannels) {}

  std::size_t row_bytes() const { return static_cast<std::size_t>(width) * kChannels; }
  std::uint8_t* row(int y) { return bytes.data() + static_cast<std::size_t>(y) * row_bytes(); }
  const std::uint8_t* row(int y) const { return bytes.data() + static_cast<std::size_t>(y) * row_bytes(); }

  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> bytes;
};

struct Size {
  int width;
  int height;
};

}  // namespace ppcls

#endif  // PPCLS_COMMON_IMAGE_H_
