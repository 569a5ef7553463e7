#include "resizers.h"

#include <map>
#include <string>

#include "errors.h"
#include "pillow_resize.h"
#include "transforms.h"

namespace ppcls {
namespace {

using ToSize = std::function<Image(const Image&, Size)>;

const std::map<std::string, PillowFilter>& PillowFilters() {
  static const std::map<std::string, PillowFilter> filters = {
      {"nearest", PillowFilter::kNearest}, {"bilinear", PillowFilter::kBilinear}, {"bicubic", PillowFilter::kBicubic},
      {"box", PillowFilter::kBox},         {"lanczos", PillowFilter::kLanczos},   {"hamming", PillowFilter::kHamming}};
  return filters;
}

ToSize ReadInterpolation(YamlSection* options) {
  const std::string backend = options->Text("backend").value_or("cv2");
  if (backend == "pil") {
    const auto found = PillowFilters().find(options->Text("interpolation").value_or("bicubic"));
    if (found == PillowFilters().end()) {
      options->Refuse("interpolation", "nearest, bilinear, bicubic, box, lanczos or hamming");
    }
    return [filter = found->second](const Image& image, Size size) { return ResizeAsPillow(image, size, filter); };
  }
  if (backend != "cv2") options->Refuse("backend", "cv2 or pil");
  const std::string interpolation = options->Text("interpolation").value_or("bilinear");
  if (interpolation == "bilinear") return ResizeLinear;
  if (interpolation == "area") return ResizeArea;
  if (interpolation == "nearest") return ResizeNearest;
  options->Refuse("interpolation", "bilinear, area or nearest of OpenCV in this program");
}

}  // namespace

Resize ReadResize(YamlSection* options) {
  const auto shorter = options->Whole("resize_short", 1);
  const auto size = options->WidthAndHeight("size");
  options->Bool("return_numpy");
  const ToSize resize = ReadInterpolation(options);
  options->RefuseOthers();
  if (shorter) {
    return [=](const Image& image) { return resize(image, ShortSideSize({image.width, image.height}, *shorter)); };
  }
  if (!size) options->Refuse("resize_short", "a whole number (or size)");
  return [=](const Image& image) { return resize(image, *size); };
}

}  // namespace ppcls
