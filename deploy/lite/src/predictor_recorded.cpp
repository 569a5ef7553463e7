// Scores from a file, in place of a network: everything else of the demo can then be run and compared without Paddle
// Lite.
//
// The model file has the number of classes and then the scores of all images in their order, all as float32. What the
// network would be given is appended to a file of the same name with the ending .inputs.
#include <fstream>
#include <stdexcept>

#include "predictor.h"

namespace ppcls {
namespace {

class RecordedPredictor : public Predictor {
 public:
  explicit RecordedPredictor(const std::string& path) : path_(path), scores_(path, std::ios::binary) {
    float classes = 0;
    if (!scores_.read(reinterpret_cast<char*>(&classes), sizeof classes) || classes < 1) {
      throw std::runtime_error(path + ": no recorded scores");
    }
    classes_ = static_cast<std::size_t>(classes);
    inputs_.open(path + ".inputs", std::ios::binary | std::ios::trunc);
  }

  std::vector<float> Run(const std::vector<float>& inputs, int count, Size) override {
    std::vector<float> scores(classes_ * static_cast<std::size_t>(count));
    inputs_.write(reinterpret_cast<const char*>(inputs.data()), Bytes(inputs));
    scores_.read(reinterpret_cast<char*>(scores.data()), Bytes(scores));
    if (!scores_ || !inputs_.flush()) throw std::runtime_error(path_ + ": fewer recorded scores than images");
    return scores;
  }

 private:
  static std::streamsize Bytes(const std::vector<float>& numbers) {
    return static_cast<std::streamsize>(numbers.size() * sizeof(float));
  }

  std::string path_;
  std::ifstream scores_;
  std::ofstream inputs_;
  std::size_t classes_ = 0;
};

}  // namespace

std::unique_ptr<Predictor> LoadPredictor(const std::string& model_file, int) {
  return std::unique_ptr<Predictor>(new RecordedPredictor(model_file));
}

}  // namespace ppcls
