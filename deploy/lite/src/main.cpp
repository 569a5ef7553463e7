// Classify images with a model of Paddle Lite (.nb): a line per image, as predict_cls.py prints it.
//
//   clas_system CONFIG IMAGE_OR_LIST [SCORES]
//   clas_system config.txt tabby_cat.jpg
//
// CONFIG: see config.h. A list is a file whose name ends with .txt and whose lines are images. SCORES: a file that gets
// all scores of all images, as float32. Exit code: 0 all classified, 1 a file cannot be used (one line says why).
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "config.h"
#include "decode.h"
#include "predictor.h"
#include "resize.h"
#include "top_k.h"
#include "transforms.h"

namespace ppcls {
namespace {

constexpr int kWarmUps = 10;
constexpr int kRuns = 100;

using Clock = std::chrono::steady_clock;

struct Milliseconds {
  double preprocess = 0;
  double inference = 0;
  double postprocess = 0;
};

double Since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

std::vector<std::string> ReadLines(const std::string& path) {
  std::ifstream stream(path);
  if (!stream) throw std::runtime_error(path + ": cannot be read");
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> ReadLabels(const std::string& path) {  // lines "<id> <name>", in the order of the ids
  std::vector<std::string> names;
  for (const std::string& line : ReadLines(path)) {
    const std::size_t blank = line.find(' ');
    if (line.substr(0, blank) != std::to_string(names.size()) || blank == std::string::npos) {
      throw std::runtime_error(path + ": expected '" + std::to_string(names.size()) + " <name>', found " + line);
    }
    names.push_back(line.substr(blank + 1));
  }
  return names;
}

std::vector<std::string> ListImages(const std::string& path) {
  const bool is_list = path.size() > 4 && path.compare(path.size() - 4, 4, ".txt") == 0;
  const std::vector<std::string> images = is_list ? ReadLines(path) : std::vector<std::string>{path};
  if (images.empty()) throw std::runtime_error(path + ": no images in this list");
  return images;
}

// Appends [3, height, width] to `inputs`; returns the size.
Size Prepare(Image image, const Config& config, const Normalizer& normalizer, std::vector<float>* inputs) {
  if (config.is_bgr) SwapRedAndBlue(&image);
  if (config.resize_short_size > 0) {
    image = ResizeShort(image, config.resize_short_size);
  } else if (config.resize_size.width > 0) {
    image = ResizeLinear(image, config.resize_size);
  }
  if (config.crop_size.width > 0) image = CenterCrop(image, config.crop_size);
  const std::size_t before = inputs->size();
  inputs->resize(before + image.bytes.size());
  normalizer.ToChw(image, inputs->data() + before);
  return {image.width, image.height};
}

class Classifier {
 public:
  explicit Classifier(const Config& config)
      : config_(config),
        normalizer_(config.scale, config.mean, config.deviation),
        names_(ReadLabels(config.label_path)),
        predictor_(LoadPredictor(config.clas_model_file, config.num_threads)) {}

  // The scores of the images, whose lines are printed.
  std::vector<float> Classify(const std::vector<std::string>& paths) {
    auto begin = Clock::now();
    std::vector<float> inputs;
    Size size{0, 0};
    for (const std::string& path : paths) {
      const Size own = Prepare(DecodeFile(path), config_, normalizer_, &inputs);
      if (size.width != 0 && (own.width != size.width || own.height != size.height)) {
        throw std::runtime_error(path + ": the images of a batch differ in size; set batch_size 1 or a crop_size");
      }
      size = own;
    }
    times_.preprocess += Since(begin);
    std::vector<float> scores = RunAndMeasure(inputs, static_cast<int>(paths.size()), size);
    begin = Clock::now();
    const std::size_t classes = scores.size() / paths.size();
    if (!names_.empty() && names_.size() != classes) {
      throw std::runtime_error(config_.label_path + ": has " + std::to_string(names_.size()) +
                               " names, and the model has " + std::to_string(classes) + " classes");
    }
    for (std::size_t i = 0; i < paths.size(); ++i) {
      const Classes best = TopClasses(scores.data() + i * classes, classes, config_.topk, names_);
      std::puts(FormatLine(best, paths[i]).c_str());
    }
    times_.postprocess += Since(begin);
    return scores;
  }

  void PrintTimes(std::size_t images) const {
    const double count = static_cast<double>(images);
    if (config_.tipc_benchmark) {
      std::printf("runtime_device: %s, num_threads: %d, batch_size: %d, precision: %s\n",
                  config_.runtime_device.c_str(), config_.num_threads, config_.batch_size, config_.precision.c_str());
    }
    std::printf("milliseconds per image: preprocess %.2f, inference %.2f, postprocess %.2f (%zu images)\n",
                times_.preprocess / count, times_.inference / count, times_.postprocess / count, images);
  }

 private:
  std::vector<float> RunAndMeasure(const std::vector<float>& inputs, int count, Size size) {
    if (config_.enable_benchmark) {
      for (int i = 0; i < kWarmUps; ++i) predictor_->Run(inputs, count, size);
    }
    const int runs = config_.enable_benchmark ? kRuns : 1;
    std::vector<float> scores;
    const auto begin = Clock::now();
    for (int i = 0; i < runs; ++i) scores = predictor_->Run(inputs, count, size);
    times_.inference += Since(begin) / runs;
    return scores;
  }

  const Config config_;
  const Normalizer normalizer_;
  const std::vector<std::string> names_;
  const std::unique_ptr<Predictor> predictor_;
  Milliseconds times_;
};

void Run(const std::string& config_path, const std::string& images_path, const std::string& scores_path) {
  const Config config = ReadConfig(config_path);
  const std::vector<std::string> images = ListImages(images_path);
  Classifier classifier(config);
  std::ofstream file;
  if (!scores_path.empty()) file.open(scores_path, std::ios::binary | std::ios::trunc);
  const auto batch_size = static_cast<std::size_t>(config.batch_size);
  for (std::size_t first = 0; first < images.size(); first += batch_size) {
    const auto begin = images.begin() + static_cast<std::ptrdiff_t>(first);
    const auto count = static_cast<std::ptrdiff_t>(std::min(batch_size, images.size() - first));
    const std::vector<float> scores = classifier.Classify({begin, begin + count});
    const auto bytes = static_cast<std::streamsize>(scores.size() * sizeof(float));
    file.write(reinterpret_cast<const char*>(scores.data()), bytes);
  }
  if (!scores_path.empty() && !file.flush()) throw std::runtime_error(scores_path + ": cannot be written");
  if (config.enable_benchmark || config.tipc_benchmark) classifier.PrintTimes(images.size());
}

}  // namespace
}  // namespace ppcls

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) {
    std::fprintf(stderr, "usage: %s CONFIG IMAGE_OR_LIST [SCORES]\n", argc > 0 ? argv[0] : "clas_system");
    return 1;
  }
  try {
    ppcls::Run(argv[1], argv[2], argc == 4 ? argv[3] : "");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
