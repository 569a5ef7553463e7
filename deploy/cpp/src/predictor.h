// Predicts images in batches, counts them and takes the times.
#ifndef PPCLS_PREDICTOR_H_
#define PPCLS_PREDICTOR_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine.h"
#include "postprocess.h"
#include "preprocess.h"
#include "read_ahead.h"

namespace ppcls {

// Of all images: seconds in each part (of the preprocessing, the sum over its threads) and from the first to the last.
struct Timing {
  double preprocess = 0;
  double inference = 0;
  double postprocess = 0;
  double elapsed = 0;
  int images = 0;
  int batches = 0;
};

// One image of a batch; either the error or the prediction counts.
struct Answer {
  std::string path;
  std::string error;
  Prediction prediction;
};

// What the network took and gave for the good images of a batch, in their order.
struct BatchArrays {
  std::vector<Tensor> inputs;
  std::vector<Tensor> outputs;
};

class Predictor {
 public:
  using OnBatch = std::function<void(const std::vector<Answer>&, const BatchArrays&)>;

  Predictor(std::unique_ptr<Engine> engine, Preprocess preprocess, std::unique_ptr<Postprocess> postprocess);

  // Calls `on_batch` for the images `paths` in their order, `batch_size` at a time; `workers` threads read them. Throws
  // UserError where the network cannot take a batch; an image that cannot be read has its error in its answer.
  void PredictAll(const std::vector<std::string>& paths, int batch_size, int workers, const OnBatch& on_batch);

  const Timing& timing() const { return timing_; }
  const Engine& engine() const { return *engine_; }
  const Postprocess& postprocess() const { return *postprocess_; }

 private:
  ReadImage Read(const std::string& path) const;
  void RunBatch(std::vector<ReadImage>* images, std::vector<Answer>* answers, const OnBatch& on_batch);
  std::vector<Tensor> Stack(const std::vector<ReadImage*>& images) const;

  std::unique_ptr<Engine> engine_;
  Preprocess preprocess_;
  std::unique_ptr<Postprocess> postprocess_;
  std::vector<std::size_t> order_;  // of the inputs: image, and the scale of a detector
  Timing timing_;
  bool is_warm_ = false;
};

}  // namespace ppcls

#endif  // PPCLS_PREDICTOR_H_
