// deploy/cpp/src/decode.cpp behind a C function, so that the tests call it from Python.
#include <algorithm>
#include <optional>

#include "decode.h"
#include "errors.h"

namespace {

std::optional<ppcls::Image>& Last() {
  static std::optional<ppcls::Image> image;
  return image;
}

}  // namespace

extern "C" {

// Decodes, and keeps the image for `Pixels`; returns 0 for what is not an image.
int Decode(const unsigned char* bytes, long size, int as_pillow, int* width, int* height) {
  const ppcls::Bytes data(bytes, bytes + size);
  try {
    Last() = as_pillow ? ppcls::DecodeAsPillow(data) : ppcls::Decode(data);
  } catch (const ppcls::UserError&) {
    Last().reset();
    return 0;
  }
  *width = Last()->width;
  *height = Last()->height;
  return 1;
}

void Pixels(unsigned char* out) { std::copy(Last()->bytes.begin(), Last()->bytes.end(), out); }
}
