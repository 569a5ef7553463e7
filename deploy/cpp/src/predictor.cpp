#include "predictor.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "errors.h"

namespace ppcls {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point* begin) {
  const Clock::time_point now = Clock::now();
  const double seconds = std::chrono::duration<double>(now - *begin).count();
  *begin = now;
  return seconds;
}

constexpr int kMultiple = 32;  // of a detector's sides, in pixels

void CheckSides(const Tensor& input) {
  if (input.shape[1] % kMultiple || input.shape[2] % kMultiple) {
    throw UserError("the transforms make " + ShapeText(input.shape) + ": expected multiples of 32 pixels");
  }
}

}  // namespace

Predictor::Predictor(std::unique_ptr<Engine> engine, Preprocess preprocess, std::unique_ptr<Postprocess> postprocess)
    : engine_(std::move(engine)), preprocess_(std::move(preprocess)), postprocess_(std::move(postprocess)) {
  const std::vector<std::string> names = engine_->inputs();
  const std::vector<std::string> wanted =
      postprocess_->is_detector() ? std::vector<std::string>{"image", "scale_factor"} : std::vector<std::string>{};
  if (wanted.empty() ? names.size() != 1
                     : !std::is_permutation(names.begin(), names.end(), wanted.begin(), wanted.end())) {
    throw UserError("not a " + std::string(wanted.empty() ? "classifier" : "detector") + ": the model's inputs are " +
                    Joined(names) + ", not " + (wanted.empty() ? "one" : Joined(wanted)));
  }
  for (const std::string& name : names) order_.push_back(name == "scale_factor" ? 1 : 0);
}

ReadImage Predictor::Read(const std::string& path) const {
  Clock::time_point clock = Clock::now();
  ReadImage image;
  try {
    try {
      image.prepared = preprocess_(ReadFile(path));
    } catch (const std::bad_alloc&) {
      throw UserError("out of memory");
    }
  } catch (const UserError& error) {
    const std::string what = error.what();
    image.error = what.rfind(path + ": ", 0) == 0 ? what : path + ": " + what;
  }
  image.seconds = SecondsSince(&clock);
  return image;
}

void Predictor::PredictAll(const std::vector<std::string>& paths, int batch_size, int workers,
                           const OnBatch& on_batch) {
  Clock::time_point clock = Clock::now();
  const int threads = paths.size() > 1 ? workers : 0;
  const std::size_t batch = static_cast<std::size_t>(batch_size);
  ReadAhead stream([&](std::size_t number) { return Read(paths[number]); }, paths.size(), threads,
                   2 * batch + static_cast<std::size_t>(threads));
  for (std::size_t begin = 0; begin < paths.size(); begin += batch) {
    std::vector<ReadImage> images;
    std::vector<Answer> answers;
    for (std::size_t i = begin; i < std::min(begin + batch, paths.size()); ++i) {
      images.push_back(stream.Next());
      answers.push_back({paths[i], images.back().error, {}});
      timing_.preprocess += images.back().seconds;
    }
    RunBatch(&images, &answers, on_batch);
  }
  timing_.elapsed += SecondsSince(&clock);
}

void Predictor::RunBatch(std::vector<ReadImage>* images, std::vector<Answer>* answers, const OnBatch& on_batch) {
  std::vector<ReadImage*> good;
  std::vector<std::size_t> places;
  std::vector<Size> sizes;
  for (std::size_t i = 0; i < images->size(); ++i) {
    if (!(*images)[i].error.empty()) continue;
    good.push_back(&(*images)[i]);
    places.push_back(i);
    sizes.push_back((*images)[i].prepared.size);
  }
  BatchArrays arrays;
  if (!good.empty()) {
    arrays.inputs = Stack(good);
    if (!is_warm_) {  // the first run prepares the engine, and does not count
      Clock::time_point clock = Clock::now();
      engine_->Run(arrays.inputs);
      timing_.elapsed -= SecondsSince(&clock);
      is_warm_ = true;
    }
    Clock::time_point clock = Clock::now();
    arrays.outputs = engine_->Run(arrays.inputs);
    timing_.inference += SecondsSince(&clock);
    std::vector<Prediction> predictions = (*postprocess_)(arrays.outputs, sizes);
    timing_.postprocess += SecondsSince(&clock);
    for (std::size_t i = 0; i < places.size(); ++i) (*answers)[places[i]].prediction = std::move(predictions[i]);
    timing_.images += static_cast<int>(good.size());
    timing_.batches += 1;
  }
  on_batch(*answers, arrays);
}

std::vector<Tensor> Predictor::Stack(const std::vector<ReadImage*>& images) const {
  const std::vector<std::int64_t>& shape = images[0]->prepared.input.shape;
  const auto count = static_cast<std::int64_t>(images.size());
  Tensor pixels{{count, shape[0], shape[1], shape[2]}, {}};
  Tensor scales{{count, 2}, {}};
  for (const ReadImage* image : images) {
    const Tensor& input = image->prepared.input;
    if (input.shape != shape) {
      throw UserError("images of one batch differ in shape, " + ShapeText(shape) + " and " + ShapeText(input.shape) +
                      ": a crop or a resize to one size is missing in the transforms (or use batch_size=1)");
    }
    if (postprocess_->is_detector()) CheckSides(input);
    pixels.values.insert(pixels.values.end(), input.values.begin(), input.values.end());
    scales.values.insert(scales.values.end(), image->prepared.scale.begin(), image->prepared.scale.end());
  }
  std::vector<Tensor> batch;
  for (const std::size_t kind : order_) batch.push_back(kind ? scales : pixels);
  return batch;
}

}  // namespace ppcls
