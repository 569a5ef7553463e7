// What computes the scores: Paddle Lite (predictor_lite.cpp), or, for a check of everything else, the scores of a file
// (predictor_recorded.cpp). Which one it is, is decided by what is linked.
#ifndef PPCLS_LITE_PREDICTOR_H_
#define PPCLS_LITE_PREDICTOR_H_

#include <memory>
#include <string>
#include <vector>

#include "image.h"

namespace ppcls {

class Predictor {
 public:
  Predictor() = default;
  Predictor(const Predictor&) = delete;
  Predictor& operator=(const Predictor&) = delete;
  virtual ~Predictor() = default;

  // `inputs` are `count` images [3, height, width], one after the other; returns [count, classes].
  virtual std::vector<float> Run(const std::vector<float>& inputs, int count, Size size) = 0;
};

// Throws std::runtime_error for a file that cannot be used.
std::unique_ptr<Predictor> LoadPredictor(const std::string& model_file, int num_threads);

}  // namespace ppcls

#endif  // PPCLS_LITE_PREDICTOR_H_
