// What a JPEG file says before it is decoded.
#ifndef PPCLS_JPEG_H_
#define PPCLS_JPEG_H_

#include <cstdint>
#include <vector>

namespace ppcls {

struct JpegFacts {
  bool is_jpeg = false;
  bool is_complete = false;  // the end-of-image marker is there
  bool has_exif = false;     // it may say that the image is to be turned
  int components = 0;
};

JpegFacts ReadJpegFacts(const std::vector<std::uint8_t>& data);

}  // namespace ppcls

#endif  // PPCLS_JPEG_H_
