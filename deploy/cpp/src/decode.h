// From the bytes of an image file to an image, as the Python side decodes it.
#ifndef PPCLS_DECODE_H_
#define PPCLS_DECODE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "image.h"

namespace ppcls {

using Bytes = std::vector<std::uint8_t>;

// The content of a file. Throws UserError where it cannot be read.
Bytes ReadFile(const std::string& path);

// As cv2.imdecode(IMREAD_COLOR) of opencv-python 4.11, in RGB: grey and alpha become three channels, 16 bits become 8,
// and the image is turned as its EXIF orientation says. Throws UserError for what is not an image.
Image Decode(const Bytes& data);

// As Pillow's Image.open(...).convert("RGB"), which leaves the EXIF orientation alone. Throws UserError for kinds of
// images that the two libraries decode differently, too: only JPEG (not CMYK) and PNG (not of 16 bits) are the same.
Image DecodeAsPillow(const Bytes& data);

// Whether a file begins like an image that can be decoded.
bool IsImageFile(const std::string& path);

}  // namespace ppcls

#endif  // PPCLS_DECODE_H_
