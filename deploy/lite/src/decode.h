// From an image file to pixels: by OpenCV (decode_opencv.cpp), or of PPM files without any library (decode_ppm.cpp).
#ifndef PPCLS_LITE_DECODE_H_
#define PPCLS_LITE_DECODE_H_

#include <string>

#include "image.h"

namespace ppcls {

// Throws std::runtime_error for a file that is not an image.
Image DecodeFile(const std::string& path);

}  // namespace ppcls

#endif  // PPCLS_LITE_DECODE_H_
