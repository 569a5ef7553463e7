#include "pillow_resize.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace ppcls {
namespace {

constexpr int kPrecisionBits = 32 - 8 - 2;  // of a weight, so that a sum of products with bytes fits an int
constexpr double kPi = 3.14159265358979323846;

double Sinc(double x) { return x == 0.0 ? 1.0 : std::sin(x * kPi) / (x * kPi); }

struct Kernel {
  double support;  // in pixels of the smaller image
  double (*weight)(double);
};

double Box(double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }

double Bilinear(double x) { return std::abs(x) < 1.0 ? 1.0 - std::abs(x) : 0.0; }

double Hamming(double x) {
  x = std::abs(x);
  if (x == 0.0) return 1.0;
  if (x >= 1.0) return 0.0;
  x *= kPi;
  return std::sin(x) / x * (static_cast<double>(0.54F) + static_cast<double>(0.46F) * std::cos(x));
}

double Bicubic(double x) {
  constexpr double kA = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((kA + 2.0) * x - (kA + 3.0)) * x * x + 1;
  return x < 2.0 ? (((x - 5) * x + 8) * x - 4) * kA : 0.0;
}

double Lanczos(double x) { return x >= -3.0 && x < 3.0 ? Sinc(x) * Sinc(x / 3) : 0.0; }

Kernel KernelOf(PillowFilter filter) {
  switch (filter) {
    case PillowFilter::kBox:
      return {0.5, Box};
    case PillowFilter::kHamming:
      return {1.0, Hamming};
    case PillowFilter::kBicubic:
      return {2.0, Bicubic};
    case PillowFilter::kLanczos:
      return {3.0, Lanczos};
    default:
      return {1.0, Bilinear};
  }
}

// A new pixel is the weighted sum of old ones from `first` on.
struct Window {
  int first;
  std::vector<int> weights;  // of kPrecisionBits
};

std::vector<int> FixedPoint(const std::vector<double>& weights) {
  std::vector<int> fixed;
  for (const double weight : weights) {
    fixed.push_back(static_cast<int>((weight < 0 ? -0.5 : 0.5) + weight * (1 << kPrecisionBits)));
  }
  return fixed;
}

std::vector<Window> Windows(int from, int to, const Kernel& kernel) {
  const double scale = static_cast<double>(from) / to;
  const double stretch = std::max(scale, 1.0);
  const double support = kernel.support * stretch;
  const double shrink = 1.0 / stretch;
  std::vector<Window> windows;
  for (int position = 0; position < to; ++position) {
    const double center = (position + 0.5) * scale;
    const int first = std::max(static_cast<int>(center - support + 0.5), 0);
    const int end = std::min(static_cast<int>(center + support + 0.5), from);
    std::vector<double> weights;
    double sum = 0.0;
    for (int i = first; i < end; ++i) {
      weights.push_back(kernel.weight((i - center + 0.5) * shrink));
      sum += weights.back();
    }
    if (sum != 0.0) {
      for (double& weight : weights) weight /= sum;
    }
    windows.push_back({first, FixedPoint(weights)});
  }
  return windows;
}

std::uint8_t Clipped(int sum) { return static_cast<std::uint8_t>(std::min(std::max(sum >> kPrecisionBits, 0), 255)); }

Image ResizeWidth(const Image& image, const std::vector<Window>& windows) {
  Image result(static_cast<int>(windows.size()), image.height);
  for (int y = 0; y < image.height; ++y) {
    std::uint8_t* out = result.row(y);
    for (const Window& window : windows) {
      const std::uint8_t* pixel = image.row(y) + static_cast<std::ptrdiff_t>(window.first) * kChannels;
      int sum[kChannels] = {1 << (kPrecisionBits - 1), 1 << (kPrecisionBits - 1), 1 << (kPrecisionBits - 1)};
      for (const int weight : window.weights) {
        for (int c = 0; c < kChannels; ++c) sum[c] += pixel[c] * weight;
        pixel += kChannels;
      }
      out = std::transform(sum, sum + kChannels, out, Clipped);
    }
  }
  return result;
}

Image ResizeHeight(const Image& image, const std::vector<Window>& windows) {
  Image result(image.width, static_cast<int>(windows.size()));
  std::vector<int> sums(image.row_bytes());
  for (int y = 0; y < result.height; ++y) {
    const Window& window = windows[static_cast<std::size_t>(y)];
    std::fill(sums.begin(), sums.end(), 1 << (kPrecisionBits - 1));
    int row = window.first;
    for (const int weight : window.weights) {
      const std::uint8_t* source = image.row(row++);
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += source[i] * weight;
    }
    std::transform(sums.begin(), sums.end(), result.row(y), Clipped);
  }
  return result;
}

std::vector<int> NearestPositions(int from, int to) {
  const double scale = static_cast<double>(from) / to;
  double at = scale * 0.5;
  std::vector<int> positions;
  for (int i = 0; i < to; ++i, at += scale) positions.push_back(std::min(static_cast<int>(at), from - 1));
  return positions;
}

Image ResizeNearest(const Image& image, Size size) {
  const std::vector<int> columns = NearestPositions(image.width, size.width);
  const std::vector<int> rows = NearestPositions(image.height, size.height);
  Image result(size.width, size.height);
  std::uint8_t* out = result.bytes.data();
  for (const int y : rows) {
    for (const int x : columns) out = std::copy_n(image.row(y) + static_cast<std::ptrdiff_t>(x) * kChannels, 3, out);
  }
  return result;
}

}  // namespace

Image ResizeAsPillow(const Image& image, Size size, PillowFilter filter) {
  if (image.width < 1 || image.height < 1 || size.width < 1 || size.height < 1) {
    throw std::invalid_argument("resize: expected sides of at least 1 pixel");
  }
  if (image.width == size.width && image.height == size.height) return image;
  if (filter == PillowFilter::kNearest) return ResizeNearest(image, size);
  const Kernel kernel = KernelOf(filter);
  if (image.width == size.width) return ResizeHeight(image, Windows(image.height, size.height, kernel));
  const Image wide = ResizeWidth(image, Windows(image.width, size.width, kernel));
  return image.height == size.height ? wide : ResizeHeight(wide, Windows(image.height, size.height, kernel));
}

}  // namespace ppcls
