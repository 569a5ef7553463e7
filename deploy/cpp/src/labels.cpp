#include "labels.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "errors.h"

namespace ppcls {
namespace {

std::string Stripped(const std::string& text) {
  const char* blanks = " \t\r\n\v\f";
  const std::size_t begin = text.find_first_not_of(blanks);
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

bool IsNumber(const std::string& text) {
  return !text.empty() && text.size() < 10 && text.find_first_not_of("0123456789") == std::string::npos;
}

}  // namespace

Labels::Labels(YamlSection* postprocess, const std::string& folder) {
  const auto file = postprocess->Text("class_id_map_file");
  const auto delimiter = postprocess->Text("delimiter");
  const auto list = postprocess->Texts("label_list");
  if (file) {
    ReadFile((std::filesystem::path(folder) / *file).string(), delimiter.value_or(" "));
  } else if (list) {
    source_ = "PostProcess.label_list";
    for (const std::string& name : *list) names_.emplace(static_cast<int>(names_.size()), name);
  }
}

void Labels::ReadFile(const std::string& path, const std::string& delimiter) {
  source_ = path;
  std::ifstream stream(path);
  if (!stream || std::filesystem::is_directory(path)) throw UserError(path + ": class_id_map_file cannot be read");
  std::string line;
  for (int number = 1; std::getline(stream, line); ++number) {
    if (number == 1 && line.rfind("\xEF\xBB\xBF", 0) == 0) line.erase(0, 3);  // a byte-order mark
    line = Stripped(line);
    if (line.empty()) continue;
    const std::size_t end = std::min(line.find(delimiter), line.size());
    const std::string id = line.substr(0, end);
    const std::string place = path + ":" + std::to_string(number);
    if (!IsNumber(id)) throw UserError(place + ": expected '<id> <name>', found '" + line.substr(0, 80) + "'");
    const std::string name = end < line.size() ? Stripped(line.substr(end + delimiter.size())) : "";
    if (!names_.emplace(std::stoi(id), name).second) throw UserError(place + ": class " + id + " has a name already");
  }
  if (names_.empty()) throw UserError(path + ": expected lines '<id> <name>', found none");
}

std::vector<std::string> Labels::ForClasses(std::size_t count) const {
  std::vector<std::string> names;
  for (const auto& [id, name] : names_) {
    if (static_cast<std::size_t>(id) == names.size()) names.push_back(name);
  }
  if (!names_.empty() && (names.size() != names_.size() || names.size() != count)) {
    throw UserError(source_ + ": class_id_map_file: expected names of the network's " + std::to_string(count) +
                    " classes, 0 to " + std::to_string(count - 1) + ", found " + std::to_string(names_.size()) +
                    " names, 0 to " + std::to_string(names_.rbegin()->first));
  }
  return names;
}

const std::string& Labels::NameOf(int id) const {
  const auto found = names_.find(id);
  if (found == names_.end()) {
    throw UserError(source_ + ": class_id_map_file: no name of class " + std::to_string(id) +
                    ", which the model predicts");
  }
  return found->second;
}

}  // namespace ppcls
