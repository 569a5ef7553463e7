// The transforms that inference.yml lists, from the bytes of a file to the network's input.
#ifndef PPCLS_PREPROCESS_H_
#define PPCLS_PREPROCESS_H_

#include <yaml-cpp/yaml.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "decode.h"
#include "image.h"
#include "tensor.h"
#include "transforms.h"

namespace ppcls {

// What a network needs of one image.
struct Prepared {
  Tensor input;                             // [3, height, width]
  std::array<float, 2> scale = {1.F, 1.F};  // pixels of the input per pixel of the file, y and x
  Size size = {0, 0};                       // of the image in the file
};

class Preprocess {
 public:
  // `ops` is a list of one-key mappings. Throws UserError for what this program does not do as Python does it: the
  // name, option or order is in the message. `for_detector` says which transforms there are.
  Preprocess(const YAML::Node& ops, const std::string& place, bool for_detector);

  // Throws UserError for what is not an image, or does not fit the transforms.
  Prepared operator()(const Bytes& data) const;

 private:
  using Step = std::function<Image(const Image&, Prepared*)>;

  void Add(const std::string& name, const YAML::Node& options, const std::string& place, bool for_detector);
  void AddDecode(const YAML::Node& options, const std::string& place);
  void AddNormalize(const YAML::Node& options, const std::string& place);

  bool with_pillow_ = false;
  bool to_rgb_ = true;
  std::vector<Step> steps_;
  std::optional<Normalizer> normalizer_;
  bool normalizes_chw_ = false;
  bool makes_chw_ = false;
};

}  // namespace ppcls

#endif  // PPCLS_PREPROCESS_H_
