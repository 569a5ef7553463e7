// The command line and the prediction config, as deploy/python/predict_cls.py takes them.
#ifndef PPCLS_SETTINGS_H_
#define PPCLS_SETTINGS_H_

#include <yaml-cpp/yaml.h>

#include <optional>
#include <string>
#include <vector>

#include "engine.h"

namespace ppcls {

struct Settings {
  std::string config_path;
  std::string images;
  std::string model_dir;
  int batch_size = 1;
  std::optional<int> num_workers;  // threads that read images; none: one per CPU core
  std::string engine;              // empty: the usual one
  EngineOptions options;
  bool benchmark = false;
  std::string save_log_path;  // the summary too
  std::string save_file;      // all predictions as JSON Lines
  std::string save_inputs;    // all inputs of the network as one .npy
  std::string save_outputs;   // a folder for output_0.npy, …
  YAML::Node transform_ops;   // what the config states in the model's place
  YAML::Node postprocess;
};

// Reads `-c CONFIG -o KEY=VALUE …`; empty after --help, which is printed. Throws UserError for a word, a key or a value
// that is none.
std::optional<Settings> ReadSettings(const std::vector<std::string>& arguments);

}  // namespace ppcls

#endif  // PPCLS_SETTINGS_H_
