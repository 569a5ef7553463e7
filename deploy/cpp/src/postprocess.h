// From a network's outputs to predictions, and to their lines.
#ifndef PPCLS_POSTPROCESS_H_
#define PPCLS_POSTPROCESS_H_

#include <yaml-cpp/yaml.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "image.h"
#include "labels.h"
#include "tensor.h"
#include "top_k.h"

namespace ppcls {

// The prediction of one image; a detector's has a box for each class: x1, y1, x2, y2 in pixels of the file.
struct Prediction {
  Classes classes;
  std::vector<std::array<double, 4>> boxes;
};

class Postprocess {
 public:
  virtual ~Postprocess() = default;

  virtual bool is_detector() const { return false; }

  // One prediction per image; `sizes` are those of the images in their files. Throws UserError for numbers that are not
  // finite, and for names that are not those of the network's classes.
  virtual std::vector<Prediction> operator()(const std::vector<Tensor>& outputs, const std::vector<Size>& sizes) = 0;

  // As predict_cls.py or predict_det.py prints it.
  virtual std::string Line(const Prediction& prediction, const std::string& path) const = 0;
};

// What a PostProcess section names: Topk, ThreshOutput and MultiLabelThreshOutput for classifiers, DetectionBoxes for
// detectors. Throws UserError for an unknown name or option.
std::unique_ptr<Postprocess> CreatePostprocess(const YAML::Node& section, const std::string& place,
                                               const std::string& folder);

// One JSON object, as Python's json.dumps writes it.
std::string JsonLine(const Prediction& prediction, bool is_detector, const std::string& path);
std::string JsonError(const std::string& error, const std::string& path);

}  // namespace ppcls

#endif  // PPCLS_POSTPROCESS_H_
