#include "model.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "errors.h"
#include "yaml_section.h"

namespace ppcls {
namespace {

namespace fs = std::filesystem;

// Structure and weights as Paddle's versions have named them, newest first.
constexpr const char* kNames[][2] = {{"inference.pdmodel", "inference.pdiparams"},
                                     {"inference.json", "inference.pdiparams"},
                                     {"model", "params"},
                                     {"__model__", "__params__"}};

bool IsFile(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

std::string Listed(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  if (names.size() > 5) names.resize(5);
  return names.empty() ? "nothing" : Joined(names);
}

void CheckSizes(const ModelFiles& files, const YAML::Node& sizes) {
  if (!sizes.IsMap()) return;
  for (const auto& entry : sizes) {
    const fs::path path = fs::path(files.folder) / fs::path(entry.first.as<std::string>()).filename();
    const std::string expected = entry.second.IsScalar() ? entry.second.Scalar() : "";
    const std::string found = IsFile(path) ? std::to_string(fs::file_size(path)) : "0";
    if (found != expected) {
      throw UserError(path.string() + ": has " + found + " bytes, and its export had " + expected +
                      ": the file is damaged or of another model");
    }
  }
}

}  // namespace

ModelFiles FindModel(const std::string& folder) {
  if (!fs::is_directory(folder)) {
    throw UserError(folder + ": expected a folder with an exported model, found " +
                    (fs::exists(folder) ? "a file" : "nothing"));
  }
  for (const auto& [structure, params] : kNames) {
    const fs::path base(folder);
    if (IsFile(base / structure) && IsFile(base / params)) {
      return {folder, (base / structure).string(), (base / params).string()};
    }
  }
  throw UserError(folder + ": expected inference.pdmodel or inference.json, and inference.pdiparams, found " +
                  Listed(folder));
}

ModelConfig ReadModelConfig(const ModelFiles& files) {
  ModelConfig config;
  config.path = (fs::path(files.folder) / "inference.yml").string();
  if (!IsFile(config.path)) {
    throw UserError(config.path + ": missing; it says how images are prepared, and export_model.py writes it");
  }
  YamlSection top(ReadYaml(config.path), config.path);
  YamlSection global(top.Node("Global").value_or(YAML::Node()), config.path + ": Global");
  CheckSizes(files, global.Node("bytes").value_or(YAML::Node()));
  config.name = global.Text("model_name").value_or(fs::path(files.folder).lexically_normal().filename().string());
  for (const std::string& side : global.Texts("image_shape").value_or(std::vector<std::string>{"3", "224", "224"})) {
    config.image_shape += (config.image_shape.empty() ? "" : ",") + side;
  }
  YamlSection prepare(top.Node("PreProcess").value_or(YAML::Node()), config.path + ": PreProcess");
  config.transform_ops = prepare.Node("transform_ops").value_or(YAML::Node());
  config.postprocess = top.Node("PostProcess").value_or(YAML::Node());
  return config;
}

}  // namespace ppcls
