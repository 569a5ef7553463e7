// The pixels of usual JPEG files, without the copies that OpenCV makes of them.
#ifndef PPCLS_JPEG_DECODE_H_
#define PPCLS_JPEG_DECODE_H_

#include <cstdint>
#include <vector>

#include "image.h"

namespace ppcls {

enum class JpegResult {
  kDecoded,
  kRefused,  // damaged or cut: OpenCV 4.11 refuses it too, older releases return other rows in place of missing ones
  kUnusual,  // left to OpenCV: four components, or none of its own tables
};

// A JPEG of one or three components in RGB, as OpenCV 4.11 decodes it by the same library, but not turned by its EXIF
// orientation.
JpegResult DecodePlainJpeg(const std::vector<std::uint8_t>& data, Image* image);

}  // namespace ppcls

#endif  // PPCLS_JPEG_DECODE_H_
