// Resizing that gives, bit for bit, what cv2.resize (OpenCV 4) gives for images of bytes.
//
// OpenCV is not needed: the same numbers come out on a phone, and whatever version of OpenCV decodes the images.
// Compile with -ffp-contract=off: a fused multiply-add rounds once where OpenCV rounds twice.
#ifndef PPCLS_COMMON_RESIZE_H_
#define PPCLS_COMMON_RESIZE_H_

#include "image.h"

namespace ppcls {

// cv2.INTER_LINEAR: weights of 11 bits, and the mean of 2x2 pixels where both sides shrink to exactly a half.
// Throws std::invalid_argument for an empty image or size, as ResizeArea does.
Image ResizeLinear(const Image& image, Size size);

// cv2.INTER_AREA: the mean of the pixels that each new pixel covers; interpolates where a side grows.
Image ResizeArea(const Image& image, Size size);

// cv2.INTER_NEAREST: the old pixel at the new one's upper left corner.
Image ResizeNearest(const Image& image, Size size);

}  // namespace ppcls

#endif  // PPCLS_COMMON_RESIZE_H_
