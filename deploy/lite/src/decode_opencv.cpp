#include <algorithm>
#include <opencv2/imgcodecs.hpp>
#include <stdexcept>

#include "decode.h"
#include "transforms.h"

namespace ppcls {

Image DecodeFile(const std::string& path) {
  const cv::Mat pixels = cv::imread(path, cv::IMREAD_COLOR);
  if (pixels.empty()) throw std::runtime_error(path + ": not an image that can be decoded");
  Image image(pixels.cols, pixels.rows);
  for (int y = 0; y < image.height; ++y) {
    std::copy(pixels.ptr(y), pixels.ptr(y) + image.row_bytes(), image.row(y));
  }
  SwapRedAndBlue(&image);  // OpenCV has blue first
  return image;
}

}  // namespace ppcls
