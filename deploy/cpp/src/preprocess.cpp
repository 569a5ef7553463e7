#include "preprocess.h"

#include <algorithm>
#include <cmath>

#include "errors.h"
#include "resizers.h"
#include "yaml_section.h"

namespace ppcls {
namespace {

constexpr std::array<double, 3> kImageNetMean = {0.485, 0.456, 0.406};
constexpr std::array<double, 3> kImageNetStd = {0.229, 0.224, 0.225};
constexpr std::uint8_t kFill[kChannels] = {124, 116, 104};  // ImageNet's mean colour, under a smaller image

std::string NameOf(const YAML::Node& entry, const std::string& place) {
  if (entry.IsScalar()) return entry.Scalar();
  if (!entry.IsMap() || entry.size() != 1) throw UserError(place + ": expected one transform with its options");
  return entry.begin()->first.as<std::string>();
}

int RoundedSide(int side, double scale) { return std::max(1, static_cast<int>(std::nearbyint(side * scale))); }

// DetResize: into `target`, in the upper left; the rest is the mean colour.
Image LayScaled(const Image& image, Size target, bool keep_ratio, Prepared* prepared) {
  double scale_x = static_cast<double>(target.width) / image.width;
  double scale_y = static_cast<double>(target.height) / image.height;
  if (keep_ratio) scale_x = scale_y = std::min(scale_x, scale_y);
  const Size size = {RoundedSide(image.width, scale_x), RoundedSide(image.height, scale_y)};
  const auto area = [](int width, int height) { return static_cast<std::int64_t>(width) * height; };
  const bool shrinks = area(size.width, size.height) < area(image.width, image.height);
  const Image scaled = shrinks ? ResizeArea(image, size) : ResizeLinear(image, size);
  Image canvas(target.width, target.height);
  for (std::size_t i = 0; i < canvas.bytes.size(); ++i) canvas.bytes[i] = kFill[i % kChannels];
  for (int y = 0; y < std::min(size.height, target.height); ++y) {
    std::copy_n(scaled.row(y), std::min(scaled.row_bytes(), canvas.row_bytes()), canvas.row(y));
  }
  prepared->scale = {static_cast<float>(static_cast<double>(size.height) / image.height),
                     static_cast<float>(static_cast<double>(size.width) / image.width)};
  return canvas;
}

}  // namespace

Preprocess::Preprocess(const YAML::Node& ops, const std::string& place, bool for_detector) {
  if (!ops.IsSequence()) throw UserError(place + ": expected a list of transforms, found none");
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const std::string where = place + "[" + std::to_string(i) + "]";
    const std::string name = NameOf(ops[i], where);
    const YAML::Node options = ops[i].IsMap() ? ops[i].begin()->second : YAML::Node();
    Add(name, options, where + " " + name, for_detector);
  }
  if (!normalizer_ || !makes_chw_) {
    throw UserError(place + ": expected NormalizeImage and ToCHWImage at the end: a network takes [3, H, W] float32");
  }
}

void Preprocess::Add(const std::string& name, const YAML::Node& options, const std::string& place, bool for_detector) {
  YamlSection section(options, place);
  const auto needs_image = [&] {
    if (normalizer_ || makes_chw_) throw UserError(place + ": expected before NormalizeImage and ToCHWImage");
  };
  if (name == "DecodeImage") {
    if (!steps_.empty() || normalizer_ || makes_chw_) throw UserError(place + ": expected as the first transform");
    AddDecode(options, place);
    if (for_detector && !to_rgb_) section.Refuse("to_rgb", "True");
    with_pillow_ = with_pillow_ && !for_detector;  // the Python side decodes detectors' images before this transform
  } else if (name == "NormalizeImage") {
    AddNormalize(options, place);
  } else if (name == "ToCHWImage") {
    section.RefuseOthers();
    if (makes_chw_ || (normalizer_ && normalizes_chw_)) throw UserError(place + ": the channels are first already");
    makes_chw_ = true;
  } else if (name == "DetResize" && for_detector) {
    needs_image();
    const auto size = section.WidthAndHeight("size");
    const bool keep_ratio = section.Bool("keep_ratio").value_or(true);
    section.RefuseOthers();
    if (!size) section.Refuse("size", "a whole number or [width, height]");
    steps_.push_back(
        [=](const Image& image, Prepared* prepared) { return LayScaled(image, *size, keep_ratio, prepared); });
  } else if (name == "ResizeImage" && !for_detector) {
    needs_image();
    steps_.push_back([resize = ReadResize(&section)](const Image& image, Prepared*) { return resize(image); });
  } else if (name == "CropImage" && !for_detector) {
    needs_image();
    const auto size = section.WidthAndHeight("size");
    section.RefuseOthers();
    if (!size) section.Refuse("size", "a whole number or [width, height]");
    steps_.push_back([=](const Image& image, Prepared*) { return CenterCrop(image, *size); });
  } else {
    const std::vector<std::string> known = {"DecodeImage", for_detector ? "DetResize" : "ResizeImage",
                                            for_detector ? "NormalizeImage" : "CropImage", "NormalizeImage",
                                            "ToCHWImage"};
    throw UserError(place + ": this program does not have that transform" + Nearest(name, known) +
                    "; known: " + Joined(known));
  }
}

void Preprocess::AddDecode(const YAML::Node& options, const std::string& place) {
  YamlSection section(options, place);
  to_rgb_ = section.Bool("to_rgb").value_or(true);
  section.Bool("to_np");
  if (section.Bool("channel_first").value_or(false)) section.Refuse("channel_first", "False");
  const std::string backend = section.Text("backend").value_or("cv2");
  if (backend != "cv2" && backend != "pil") section.Refuse("backend", "cv2 or pil");
  with_pillow_ = backend == "pil";
  section.RefuseOthers();
}

void Preprocess::AddNormalize(const YAML::Node& options, const std::string& place) {
  YamlSection section(options, place);
  if (normalizer_) throw UserError(place + ": expected once");
  const std::string order = section.Text("order").value_or("chw");
  if (order != "chw" && order != "hwc" && !order.empty()) section.Refuse("order", "chw, hwc or ''");
  normalizes_chw_ = order == "chw";
  if (normalizes_chw_ != makes_chw_) {
    throw UserError(place + ": order: " + order + " does not fit the place of ToCHWImage");
  }
  if (section.Bool("output_fp16").value_or(false)) section.Refuse("output_fp16", "False");
  if (section.Whole("channel_num", 3).value_or(3) != 3) section.Refuse("channel_num", "3");
  const double scale = section.Number("scale").value_or(1.0 / 255.0);
  if (scale <= 0) section.Refuse("scale", "a number above 0");
  const auto mean = section.ThreeNumbers("mean").value_or(kImageNetMean);
  const auto deviation = section.ThreeNumbers("std").value_or(kImageNetStd);
  if (std::count(deviation.begin(), deviation.end(), 0.0)) section.Refuse("std", "three numbers other than 0");
  section.RefuseOthers();
  normalizer_.emplace(scale, mean, deviation);
}

Prepared Preprocess::operator()(const Bytes& data) const {
  Image image = with_pillow_ ? DecodeAsPillow(data) : Decode(data);
  Prepared prepared;
  prepared.size = {image.width, image.height};
  if (!to_rgb_) SwapRedAndBlue(&image);
  try {
    for (const Step& step : steps_) image = step(image, &prepared);
  } catch (const std::invalid_argument& error) {
    throw UserError(error.what());
  }
  prepared.input.shape = {kChannels, image.height, image.width};
  prepared.input.values.resize(image.bytes.size());
  normalizer_->ToChw(image, prepared.input.values.data());
  return prepared;
}

}  // namespace ppcls
