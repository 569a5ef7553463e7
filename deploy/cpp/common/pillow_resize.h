// Resizing that gives, bit for bit, what Pillow's Image.resize gives for RGB images.
//
// Pillow smooths as it shrinks, and OpenCV does not: a model that was trained with one of them needs the same one.
#ifndef PPCLS_COMMON_PILLOW_RESIZE_H_
#define PPCLS_COMMON_PILLOW_RESIZE_H_

#include "image.h"

namespace ppcls {

enum class PillowFilter { kNearest, kBox, kBilinear, kHamming, kBicubic, kLanczos };

// Throws std::invalid_argument for an empty image or size.
Image ResizeAsPillow(const Image& image, Size size, PillowFilter filter);

}  // namespace ppcls

#endif  // PPCLS_COMMON_PILLOW_RESIZE_H_
