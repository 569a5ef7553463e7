#include "jpeg.h"

#include <algorithm>

namespace ppcls {
namespace {

constexpr std::uint8_t kMarker = 0xFF;
constexpr std::uint8_t kStartOfImage = 0xD8;
constexpr std::uint8_t kEndOfImage = 0xD9;
constexpr std::uint8_t kApplication1 = 0xE1;

// Markers without a length: the restart markers within a scan, and TEM.
bool StandsAlone(std::uint8_t marker) { return (marker >= 0xD0 && marker <= kStartOfImage) || marker == 0x01; }

// SOF0 to SOF15, less DHT, JPG and DAC, which have numbers among them.
bool IsFrame(std::uint8_t marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

}  // namespace

JpegFacts ReadJpegFacts(const std::vector<std::uint8_t>& data) {
  JpegFacts facts;
  if (data.size() < 3 || data[0] != kMarker || data[1] != kStartOfImage || data[2] != kMarker) return facts;
  facts.is_jpeg = true;
  auto at = data.begin() + 2;
  while (true) {
    // what is not a marker is a scan, where 0xFF is followed by 0
    at = std::find(at, data.end(), kMarker);
    while (at != data.end() && *at == kMarker) ++at;
    if (at == data.end()) return facts;
    const std::uint8_t marker = *at++;
    if (marker == kEndOfImage) {
      facts.is_complete = true;
      return facts;
    }
    if (marker == 0 || StandsAlone(marker)) continue;
    if (data.end() - at < 2) return facts;
    const std::ptrdiff_t length = std::max(at[0] << 8 | at[1], 2);
    if (data.end() - at < length) return facts;
    if (IsFrame(marker) && length >= 8) facts.components = at[7];
    if (marker == kApplication1) facts.has_exif = true;
    at += length;
  }
}

}  // namespace ppcls
