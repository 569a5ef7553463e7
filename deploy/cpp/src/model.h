// An exported model: its files, and what its inference.yml says.
#ifndef PPCLS_MODEL_H_
#define PPCLS_MODEL_H_

#include <yaml-cpp/yaml.h>

#include <string>

namespace ppcls {

struct ModelFiles {
  std::string folder;
  std::string structure;  // paths
  std::string params;
};

// Throws UserError that says what the folder does not have.
ModelFiles FindModel(const std::string& folder);

struct ModelConfig {
  std::string path;         // of inference.yml
  std::string name;         // of the network
  std::string image_shape;  // "3,224,224"
  YAML::Node transform_ops;
  YAML::Node postprocess;
};

// Reads inference.yml and compares the sizes of the model's files with those that it records: a cut weights file loads
// without an error. Throws UserError.
ModelConfig ReadModelConfig(const ModelFiles& files);

}  // namespace ppcls

#endif  // PPCLS_MODEL_H_
