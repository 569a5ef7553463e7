// Predicts images with an exported model; see the help in settings.cpp, and README.md.

#include <malloc.h>

#include <exception>
#include <iostream>
#include <memory>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <string>
#include <vector>

#include "engine.h"
#include "errors.h"
#include "image_list.h"
#include "model.h"
#include "predictor.h"
#include "results.h"
#include "settings.h"
#include "summary.h"

namespace ppcls {
namespace {

// `stated` of the prediction config, over the model's own; a key that is null leaves the model's.
YAML::Node Chosen(const YAML::Node& own, const YAML::Node& stated) {
  YAML::Node chosen = YAML::Clone(own);
  if (!stated.IsMap()) return chosen;
  const bool is_model_without = !own.IsMap();
  for (const auto& entry : stated) {
    const std::string key = entry.first.as<std::string>();
    if (entry.second.IsNull() || (key == "name" && !is_model_without)) continue;
    chosen[key] = entry.second;
  }
  return chosen;
}

// predict_cls.py is for classifiers, predict_det.py for detectors; a config says which one it is for.
void CheckTask(const ModelFiles& model, const YAML::Node& own, const YAML::Node& stated) {
  const std::string detector = "DetectionBoxes";
  const auto name = [](const YAML::Node& node) {
    return node.IsMap() && node["name"] ? node["name"].as<std::string>() : "";
  };
  const std::string mine = name(own);
  const std::string theirs = name(stated);
  if (!mine.empty() && !theirs.empty() && (mine == detector) != (theirs == detector)) {
    throw UserError(model.folder + ": its predictions need " + mine + ", but the prediction config has " + theirs);
  }
}

// The files that were requested, written batch by batch.
class Saved {
 public:
  explicit Saved(const Settings& settings) : outputs_folder_(settings.save_outputs) {
    if (!settings.save_file.empty()) records_ = std::make_unique<AtomicFile>(settings.save_file);
    if (!settings.save_inputs.empty()) inputs_ = std::make_unique<NpyFile>(settings.save_inputs);
  }

  void Add(const std::vector<Answer>& answers, const BatchArrays& arrays, bool is_detector) {
    if (records_) {
      for (const Answer& answer : answers) {
        records_->Write((answer.error.empty() ? JsonLine(answer.prediction, is_detector, answer.path)
                                              : JsonError(answer.error, answer.path)) +
                        "\n");
      }
    }
    if (inputs_ && !arrays.inputs.empty()) {
      for (const Tensor& input : arrays.inputs) {
        if (input.shape.size() == 4) inputs_->Add(input);
      }
    }
    if (!outputs_folder_.empty()) AddOutputs(arrays.outputs);
  }

  void Commit() {
    if (records_) records_->Commit();
    if (inputs_) inputs_->Commit();
    for (const auto& output : outputs_) output->Commit();
  }

 private:
  void AddOutputs(const std::vector<Tensor>& outputs) {
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (i == outputs_.size()) {
        outputs_.push_back(std::make_unique<NpyFile>(outputs_folder_ + "/output_" + std::to_string(i) + ".npy"));
      }
      outputs_[i]->Add(outputs[i]);
    }
  }

  std::string outputs_folder_;
  std::unique_ptr<AtomicFile> records_;
  std::unique_ptr<NpyFile> inputs_;
  std::vector<std::unique_ptr<NpyFile>> outputs_;
};

// Images of some 100 kB come and go: memory that is given back each time has to be mapped again, page by page, which
// costs as much as decoding them.
void KeepFreedMemory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 256 << 20);
  mallopt(M_TRIM_THRESHOLD, 512 << 20);
#endif
}

int Run(const std::vector<std::string>& arguments) {
  const std::optional<Settings> settings = ReadSettings(arguments);
  if (!settings) return 0;
  const ModelFiles files = FindModel(settings->model_dir);
  const ModelConfig model = ReadModelConfig(files);
  CheckTask(files, model.postprocess, settings->postprocess);
  if (settings->transform_ops.IsSequence() && YAML::Dump(settings->transform_ops) != YAML::Dump(model.transform_ops)) {
    std::cerr << "warning: PreProcess.transform_ops of the prediction config is used; " << model.path
              << " has another\n";
  }
  auto postprocess =
      CreatePostprocess(Chosen(model.postprocess, settings->postprocess), model.path + ": PostProcess", files.folder);
  Preprocess preprocess(settings->transform_ops.IsSequence() ? settings->transform_ops : model.transform_ops,
                        model.path + ": PreProcess.transform_ops", postprocess->is_detector());
  int skipped = 0;
  const std::vector<std::string> images = ListImages(settings->images, &skipped);
  if (skipped > 0) std::cerr << settings->images << ": skipped files that are not images: " << skipped << '\n';

  Predictor predictor(CreateEngine(settings->engine, files, settings->options), std::move(preprocess),
                      std::move(postprocess));
  Saved saved(*settings);
  const int workers = settings->num_workers.value_or(UsableCores());
  int failed = 0;
  predictor.PredictAll(images, settings->batch_size, workers,
                       [&](const std::vector<Answer>& answers, const BatchArrays& arrays) {
                         for (const Answer& answer : answers) {
                           if (answer.error.empty()) {
                             std::cout << predictor.postprocess().Line(answer.prediction, answer.path) << std::endl;
                           } else {
                             std::cerr << "error: " << answer.error << std::endl;
                             ++failed;
                           }
                         }
                         if (!std::cout) throw UserError("standard output cannot be written");
                         saved.Add(answers, arrays, predictor.postprocess().is_detector());
                       });
  saved.Commit();
  if (settings->benchmark) {
    const std::string summary = Summary(predictor, model, *settings);
    std::cout << summary << '\n' << TimingLine(predictor.timing(), settings->batch_size, workers) << std::endl;
    if (!settings->save_log_path.empty()) {
      AtomicFile log(settings->save_log_path);
      log.Write(summary + "\n");
      log.Commit();
    }
  }
  return failed ? 1 : 0;
}

}  // namespace
}  // namespace ppcls

int main(int count, char** words) {
  ppcls::KeepFreedMemory();
  cv::setNumThreads(1);  // images are read in parallel; OpenCV's own threads would only compete with that
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  try {
    return ppcls::Run({words + 1, words + count});
  } catch (const ppcls::UserError& error) {
    std::cerr << "error: " << error.what() << std::endl;
    return error.status();
  } catch (const std::exception& error) {
    std::cerr << "error: " << ppcls::FirstLine(error.what()) << std::endl;
    return 1;
  }
}
