// The pixels of usual JPEG files, without the copies that OpenCV makes of them.
#ifndef PPCLS_JPEG_DECODE_H_
#define PPCLS_JPEG_DECODE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "image.h"

namespace ppcls {

// A JPEG of one or three components in RGB, as OpenCV decodes it by the same library, but not turned by its EXIF
// orientation. Empty for anything unusual, which is left to OpenCV.
std::optional<Image> DecodePlainJpeg(const std::vector<std::uint8_t>& data);

}  // namespace ppcls

#endif  // PPCLS_JPEG_DECODE_H_
