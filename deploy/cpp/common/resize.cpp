#include "resize.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace ppcls {
namespace {

constexpr std::int16_t kOne = 1 << 11;  // the weight 1 of OpenCV's fixed-point interpolation

// How one side is resized. OpenCV inverts twice, and the last bit of `scale` decides some pixels.
struct Side {
  Side(int from_pixels, int to_pixels)
      : from(from_pixels), to(to_pixels), inverse(static_cast<double>(to) / from), scale(1.0 / inverse) {}

  bool IsWhole() const { return std::abs(scale - std::nearbyint(scale)) < std::numeric_limits<double>::epsilon(); }
  int Whole() const { return static_cast<int>(std::nearbyint(scale)); }

  int from;
  int to;
  double inverse;
  double scale;  // old pixels per new pixel
};

// A new pixel is first * old[at] + second * old[at + 1], over 2048.
struct Tap {
  int at;
  std::int16_t first;
  std::int16_t second;
};

std::int16_t FixedPoint(float weight) {
  return static_cast<std::int16_t>(std::nearbyint(weight * static_cast<float>(kOne)));
}

Tap TapAt(const Side& side, int position, bool of_area) {
  int at;
  float share;
  if (of_area) {
    at = static_cast<int>(std::floor(position * side.scale));
    share = static_cast<float>((position + 1) - (at + 1) * side.inverse);
    share = share <= 0 ? 0.0F : share - std::floor(share);
  } else {
    share = static_cast<float>((position + 0.5) * side.scale - 0.5);
    at = static_cast<int>(std::floor(share));
    share -= static_cast<float>(at);
  }
  return {at, FixedPoint(1.0F - share), FixedPoint(share)};
}

// Where the bytes of a new column come from: `left` in a row of the old image, and `step` further on.
struct Column {
  std::ptrdiff_t left;
  std::ptrdiff_t step;
  int first;
  int second;
};

// Columns beyond the border are that of the border. Rows keep their weights there, and take the border's row twice.
std::vector<Column> Columns(const Side& side, bool of_area) {
  std::vector<Column> columns;
  columns.reserve(static_cast<std::size_t>(side.to));
  for (int x = 0; x < side.to; ++x) {
    Tap tap = TapAt(side, x, of_area);
    if (tap.at < 0) tap = {0, kOne, 0};
    if (tap.at >= side.from - 1) tap = {side.from - 1, kOne, 0};
    columns.push_back({tap.at * kChannels, tap.second ? kChannels : 0, tap.first, tap.second});
  }
  return columns;
}

// One row of the image at its new width, in units of 1/2048. OpenCV drops four of these bits before it goes on.
void InterpolateRow(const std::uint8_t* source, const std::vector<Column>& columns, std::int16_t* out) {
  for (const Column& column : columns) {
    const std::uint8_t* left = source + column.left;
    const std::uint8_t* right = left + column.step;
    for (int c = 0; c < kChannels; ++c) {
      out[c] = static_cast<std::int16_t>((left[c] * column.first + right[c] * column.second) >> 4);
    }
    out += kChannels;
  }
}

void MixRows(const std::int16_t* upper, const std::int16_t* lower, std::int16_t first, std::int16_t second,
             std::size_t count, std::uint8_t* __restrict out) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto sum = static_cast<std::int16_t>(((upper[i] * first) >> 16) + ((lower[i] * second) >> 16));
    out[i] = static_cast<std::uint8_t>((sum + 2) >> 2);
  }
}

Image Interpolate(const Image& image, Size size, const Side& x, const Side& y, bool of_area) {
  const std::vector<Column> columns = Columns(x, of_area);
  Image result(size.width, size.height);
  std::vector<std::int16_t> rows[2] = {std::vector<std::int16_t>(result.row_bytes()),
                                       std::vector<std::int16_t>(result.row_bytes())};
  int held[2] = {-1, -1};  // the old row that each of `rows` was made of
  for (int i = 0; i < size.height; ++i) {
    const Tap tap = TapAt(y, i, of_area);
    const int upper = std::min(std::max(tap.at, 0), y.from - 1);
    const int lower = std::min(std::max(tap.at + 1, 0), y.from - 1);
    if (held[0] != upper && held[1] == upper) {
      std::swap(rows[0], rows[1]);
      std::swap(held[0], held[1]);
    }
    if (held[0] != upper) InterpolateRow(image.row(held[0] = upper), columns, rows[0].data());
    if (lower != upper && held[1] != lower) InterpolateRow(image.row(held[1] = lower), columns, rows[1].data());
    const std::int16_t* below = rows[lower == upper ? 0 : 1].data();
    MixRows(rows[0].data(), below, tap.first, tap.second, result.row_bytes(), result.row(i));
  }
  return result;
}

// A mean of bytes, halves to the even number: there are no fractions above 2^23.
std::uint8_t RoundToByte(float value) {
  constexpr float kNoFractions = 1.5F * (1 << 23);
  return static_cast<std::uint8_t>(std::min(static_cast<int>((value + kNoFractions) - kNoFractions), 255));
}

// Both sides shrink by a whole number: the mean of equal blocks.
Image AverageBlocks(const Image& image, Size size, int block_width, int block_height) {
  const float share = 1.0F / static_cast<float>(block_width * block_height);
  const bool halves = block_width == 2 && block_height == 2;
  Image result(size.width, size.height);
  std::vector<int> sums(result.row_bytes());
  for (int y = 0; y < size.height; ++y) {
    std::fill(sums.begin(), sums.end(), 0);
    for (int row = 0; row < block_height; ++row) {
      const std::uint8_t* source = image.row(y * block_height + row);
      for (std::size_t at = 0; at < sums.size(); at += kChannels) {
        for (int column = 0; column < block_width; ++column) {
          for (std::size_t c = 0; c < kChannels; ++c) sums[at + c] += *source++;
        }
      }
    }
    std::uint8_t* out = result.row(y);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      out[i] =
          halves ? static_cast<std::uint8_t>((sums[i] + 2) >> 2) : RoundToByte(static_cast<float>(sums[i]) * share);
    }
  }
  return result;
}

// The share that the old pixel `from` has in the new pixel `to`.
struct Cover {
  int to;
  int from;
  float share;
};

std::vector<Cover> Covers(const Side& side) {
  constexpr double kLeast = 1e-3;  // a smaller part of a pixel is left out
  std::vector<Cover> covers;
  for (int to = 0; to < side.to; ++to) {
    const double begin = to * side.scale;
    const double end = begin + side.scale;
    const double cell = std::min(side.scale, side.from - begin);
    const int last = std::min(static_cast<int>(std::floor(end)), side.from - 1);
    const int first = std::min(static_cast<int>(std::ceil(begin)), last);
    if (first - begin > kLeast) covers.push_back({to, first - 1, static_cast<float>((first - begin) / cell)});
    for (int from = first; from < last; ++from) covers.push_back({to, from, static_cast<float>(1.0 / cell)});
    if (end - last > kLeast) {
      covers.push_back({to, last, static_cast<float>(std::min(std::min(end - last, 1.0), cell) / cell)});
    }
  }
  return covers;
}

// One row of the image at its new width; `columns` go from left to right.
void AverageRow(const std::uint8_t* source, const std::vector<Cover>& columns, float* out) {
  for (auto column = columns.begin(); column != columns.end();) {
    float sum[kChannels] = {0.0F, 0.0F, 0.0F};
    const int to = column->to;
    for (; column != columns.end() && column->to == to; ++column) {
      const std::uint8_t* pixel = source + static_cast<std::ptrdiff_t>(column->from) * kChannels;
      for (int c = 0; c < kChannels; ++c) sum[c] += static_cast<float>(pixel[c]) * column->share;
    }
    out = std::copy(sum, sum + kChannels, out);
  }
}

Image AverageCovered(const Image& image, Size size, const Side& x, const Side& y) {
  const std::vector<Cover> columns = Covers(x);
  Image result(size.width, size.height);
  std::vector<float> row(result.row_bytes());
  std::vector<float> sum(result.row_bytes());
  int filled = 0;  // the new row that `sum` belongs to
  const auto store = [&] { std::transform(sum.begin(), sum.end(), result.row(filled), RoundToByte); };
  for (const Cover& line : Covers(y)) {
    AverageRow(image.row(line.from), columns, row.data());
    if (line.to != filled) {
      store();
      std::fill(sum.begin(), sum.end(), 0.0F);
      filled = line.to;
    }
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += line.share * row[i];
  }
  store();
  return result;
}

void CheckSizes(const Image& image, Size size) {
  if (image.width < 1 || image.height < 1 || size.width < 1 || size.height < 1) {
    throw std::invalid_argument("resize: " + std::to_string(image.width) + "x" + std::to_string(image.height) + " to " +
                                std::to_string(size.width) + "x" + std::to_string(size.height) +
                                ": expected sides of at least 1 pixel");
  }
}

}  // namespace

Image ResizeLinear(const Image& image, Size size) {
  CheckSizes(image, size);
  const Side x(image.width, size.width);
  const Side y(image.height, size.height);
  if (x.from == x.to && y.from == y.to) return image;
  if (x.IsWhole() && y.IsWhole() && x.Whole() == 2 && y.Whole() == 2) return AverageBlocks(image, size, 2, 2);
  return Interpolate(image, size, x, y, false);
}

Image ResizeArea(const Image& image, Size size) {
  CheckSizes(image, size);
  const Side x(image.width, size.width);
  const Side y(image.height, size.height);
  if (x.from == x.to && y.from == y.to) return image;
  if (x.scale < 1 || y.scale < 1) return Interpolate(image, size, x, y, true);
  if (x.IsWhole() && y.IsWhole()) return AverageBlocks(image, size, x.Whole(), y.Whole());
  return AverageCovered(image, size, x, y);
}

Image ResizeNearest(const Image& image, Size size) {
  CheckSizes(image, size);
  const Side x(image.width, size.width);
  const Side y(image.height, size.height);
  const auto at = [](const Side& side, int to) {
    return std::min(static_cast<int>(std::floor(to * side.scale)), side.from - 1);
  };
  Image result(size.width, size.height);
  std::uint8_t* out = result.bytes.data();
  for (int row = 0; row < size.height; ++row) {
    const std::uint8_t* source = image.row(at(y, row));
    for (int column = 0; column < size.width; ++column) out = std::copy_n(source + at(x, column) * kChannels, 3, out);
  }
  return result;
}

}  // namespace ppcls
