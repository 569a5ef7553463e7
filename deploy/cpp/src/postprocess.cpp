#include "postprocess.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "errors.h"

namespace ppcls {
namespace {

std::size_t RowLength(const Tensor& tensor) {
  return tensor.shape.empty() || tensor.shape[0] < 1 ? 0
                                                     : tensor.values.size() / static_cast<std::size_t>(tensor.shape[0]);
}

void CheckFinite(const Tensor& tensor, std::size_t images, const std::string& kind) {
  const std::size_t row = tensor.values.size() / images;
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < images; ++i) {
    const float* values = tensor.values.data() + i * row;
    wrong += std::all_of(values, values + row, [](float value) { return std::isfinite(value); }) ? 0U : 1U;
  }
  if (wrong) {
    throw UserError("the model's " + kind + " are nan or infinite for " + std::to_string(wrong) + " of " +
                    std::to_string(images) +
                    " images: are its weights damaged, or the images not prepared as it needs?");
  }
}

double ThresholdOf(YamlSection* section, double usual) {
  const double threshold = section->Number("threshold").value_or(usual);
  if (threshold < 0 || threshold > 1) section->Refuse("threshold", "a number from 0 to 1");
  return threshold;
}

// What decides by one row of scores.
class Classifier : public Postprocess {
 public:
  explicit Classifier(Labels labels) : labels_(std::move(labels)) {}

  std::vector<Prediction> operator()(const std::vector<Tensor>& outputs, const std::vector<Size>& sizes) override {
    const Tensor& scores = outputs.at(0);
    if (scores.shape.size() != 2 || static_cast<std::size_t>(scores.shape[0]) != sizes.size()) {
      throw UserError("the model's first output is " + ShapeText(scores.shape) + ": expected scores of " +
                      std::to_string(sizes.size()) + " images");
    }
    CheckFinite(scores, sizes.size(), "scores");
    const std::size_t count = RowLength(scores);
    if (names_.empty()) names_ = NamesOf(count);  // a network has one number of classes
    std::vector<Prediction> predictions(sizes.size());
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      predictions[i].classes = Choose(scores.values.data() + i * count, count, names_);
    }
    return predictions;
  }

  std::string Line(const Prediction& prediction, const std::string& path) const override {
    return FormatLine(prediction.classes, path);
  }

 protected:
  virtual std::vector<std::string> NamesOf(std::size_t count) const { return labels_.ForClasses(count); }
  virtual Classes Choose(const float* row, std::size_t count, const std::vector<std::string>& names) const = 0;

  static void Append(int id, float score, const std::vector<std::string>& names, Classes* classes) {
    classes->ids.push_back(id);
    classes->scores.push_back(RoundScore(score));
    if (!names.empty()) classes->names.push_back(names[static_cast<std::size_t>(id)]);
  }

 private:
  Labels labels_;
  std::vector<std::string> names_;  // of all classes, in the order of their ids
};

class Topk : public Classifier {
 public:
  Topk(YamlSection* section, const std::string& folder)
      : Classifier(Labels(section, folder)), k_(section->Whole("topk", 1).value_or(5)) {}

 private:
  Classes Choose(const float* row, std::size_t count, const std::vector<std::string>& names) const override {
    return TopClasses(row, count, k_, names);
  }

  int k_;
};

// One class: of two, class 1 from the threshold on; of more, the best one above the threshold, else a default.
class ThreshOutput : public Classifier {
 public:
  ThreshOutput(YamlSection* section, const std::string& folder)
      : Classifier(Labels(section, folder)),
        threshold_(ThresholdOf(section, 0.0)),
        usual_(section->Whole("default_label_index", 0).value_or(0)),
        names_{section->Text("label_0").value_or("0"), section->Text("label_1").value_or("1")} {}

 private:
  std::vector<std::string> NamesOf(std::size_t count) const override {
    if (count == 2) return names_;
    if (static_cast<std::size_t>(usual_) >= count) {
      throw UserError("PostProcess.default_label_index: expected a class below " + std::to_string(count) + ", found " +
                      std::to_string(usual_));
    }
    return Classifier::NamesOf(count);
  }

  Classes Choose(const float* row, std::size_t count, const std::vector<std::string>& names) const override {
    Classes classes;
    if (count == 2) {
      const bool second = static_cast<double>(row[1]) >= threshold_;
      Append(second ? 1 : 0, second ? row[1] : 1 - row[1], names, &classes);
    } else {
      const int best = TopK(row, count, 1)[0];
      const int label = static_cast<double>(row[best]) > threshold_ ? best : usual_;
      Append(label, row[label], names, &classes);
    }
    return classes;
  }

  double threshold_;
  int usual_;
  std::vector<std::string> names_;
};

// All classes from the threshold on, in the order of their ids.
class MultiLabelThreshOutput : public Classifier {
 public:
  MultiLabelThreshOutput(YamlSection* section, const std::string& folder)
      : Classifier(Labels(section, folder)), threshold_(static_cast<float>(ThresholdOf(section, 0.5))) {}

 private:
  Classes Choose(const float* row, std::size_t count, const std::vector<std::string>& names) const override {
    Classes classes;
    for (std::size_t i = 0; i < count; ++i) {
      if (row[i] >= threshold_) Append(static_cast<int>(i), row[i], names, &classes);
    }
    return classes;
  }

  float threshold_;
};

double Rounded(double value, double units) { return std::nearbyint(value * units) / units; }

std::string Decimals(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

// Rows of (label, score, x1, y1, x2, y2): those from the threshold on, best first, cut at the image's border.
class DetectionBoxes : public Postprocess {
 public:
  DetectionBoxes(YamlSection* section, const std::string& folder)
      : labels_(section, folder), threshold_(static_cast<float>(ThresholdOf(section, 0.3))) {}

  bool is_detector() const override { return true; }

  std::vector<Prediction> operator()(const std::vector<Tensor>& outputs, const std::vector<Size>& sizes) override {
    const Tensor& boxes = outputs.at(0);
    if (boxes.values.size() % (sizes.size() * kColumns) != 0) {
      throw UserError("the model's first output is " + ShapeText(boxes.shape) + ": expected rows of 6 numbers for " +
                      std::to_string(sizes.size()) + " images");
    }
    CheckFinite(boxes, sizes.size(), "boxes");
    const std::size_t rows = boxes.values.size() / kColumns / sizes.size();
    std::vector<Prediction> predictions(sizes.size());
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const float* first = boxes.values.data() + i * rows * kColumns;
      for (std::size_t row = 0; row < rows; ++row) Append(first + row * kColumns, sizes[i], &predictions[i]);
    }
    return predictions;
  }

  std::string Line(const Prediction& prediction, const std::string& path) const override {
    const Classes& classes = prediction.classes;
    std::string shown;
    for (std::size_t i = 0; i < classes.ids.size(); ++i) {
      const std::array<double, 4>& box = prediction.boxes[i];
      shown += (i ? "; " : ": ") + (classes.names.empty() ? std::to_string(classes.ids[i]) : classes.names[i]) +
               Decimals(" %.2f", classes.scores[i]) + " [" + Decimals("%.1f", box[0]) + ", " +
               Decimals("%.1f", box[1]) + ", " + Decimals("%.1f", box[2]) + ", " + Decimals("%.1f", box[3]) + "]";
    }
    return BaseName(path) + ": " + std::to_string(classes.ids.size()) + " box(es)" + shown;
  }

 private:
  static constexpr std::size_t kColumns = 6;

  void Append(const float* row, Size size, Prediction* prediction) const {
    if (!(row[1] >= threshold_)) return;
    const int id = static_cast<int>(row[0]);
    prediction->classes.ids.push_back(id);
    prediction->classes.scores.push_back(RoundScore(row[1]));
    if (!labels_.empty()) prediction->classes.names.push_back(labels_.NameOf(id));
    std::array<double, 4> box{};
    for (std::size_t i = 0; i < box.size(); ++i) {
      const double side = i % 2 ? size.height : size.width;
      box[i] = Rounded(std::min(std::max(static_cast<double>(row[2 + i]), 0.0), side), 100.0);
    }
    prediction->boxes.push_back(box);
  }

  Labels labels_;
  float threshold_;
};

}  // namespace

std::unique_ptr<Postprocess> CreatePostprocess(const YAML::Node& section, const std::string& place,
                                               const std::string& folder) {
  YamlSection options(section, place);
  const std::string name = options.Text("name").value_or("Topk");
  std::unique_ptr<Postprocess> created;
  if (name == "Topk") {
    created = std::make_unique<Topk>(&options, folder);
  } else if (name == "ThreshOutput") {
    created = std::make_unique<ThreshOutput>(&options, folder);
  } else if (name == "MultiLabelThreshOutput") {
    created = std::make_unique<MultiLabelThreshOutput>(&options, folder);
  } else if (name == "DetectionBoxes") {
    created = std::make_unique<DetectionBoxes>(&options, folder);
  } else {
    const std::vector<std::string> known = {"Topk", "ThreshOutput", "MultiLabelThreshOutput", "DetectionBoxes"};
    throw UserError(place + ".name: expected one of " + Joined(known) + ", found '" + name + "'" +
                    Nearest(name, known));
  }
  options.RefuseOthers();
  return created;
}

}  // namespace ppcls
