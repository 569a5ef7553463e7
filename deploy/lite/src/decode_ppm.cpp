// The binary form of https://netpbm.sourceforge.net/doc/ppm.html (P6) with 255 as the largest value, without comments,
// as write_demo.py writes it.
#include <fstream>
#include <stdexcept>

#include "decode.h"

namespace ppcls {

Image DecodeFile(const std::string& path) {
  constexpr int kMost = 1 << 15;
  std::ifstream stream(path, std::ios::binary);
  std::string kind;
  int width = 0, height = 0, largest = 0;
  stream >> kind >> width >> height >> largest;
  if (!stream || kind != "P6" || width < 1 || height < 1 || width > kMost || height > kMost || largest != 255) {
    throw std::runtime_error(path + ": expected a PPM image (P6, 255), found something else");
  }
  stream.get();  // one blank
  Image image(width, height);
  stream.read(reinterpret_cast<char*>(image.bytes.data()), static_cast<std::streamsize>(image.bytes.size()));
  if (!stream) throw std::runtime_error(path + ": a PPM image that is cut");
  return image;
}

}  // namespace ppcls
