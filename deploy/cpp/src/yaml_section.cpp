#include "yaml_section.h"

#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "errors.h"

namespace ppcls {
namespace {

void RefuseTwice(const YAML::Node& node, const std::string& path) {
  std::set<std::string> seen;
  if (node.IsMap()) {
    for (const auto& entry : node) {
      const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : YAML::Dump(entry.first);
      if (!seen.insert(key).second) {
        throw UserError(path + ":" + std::to_string(entry.first.Mark().line + 1) + ": key '" + key + "' occurs twice");
      }
      RefuseTwice(entry.second, path);
    }
  } else if (node.IsSequence()) {
    for (const auto& entry : node) RefuseTwice(entry, path);
  }
}

bool HasNoValue(const YAML::Node& node) { return !node.IsDefined() || node.IsNull(); }

std::string Shown(const YAML::Node& node) {
  return HasNoValue(node) ? "nothing" : "'" + FirstLine(node.IsScalar() ? node.Scalar() : YAML::Dump(node)) + "'";
}

// One number at the head of `text`, which is cut off; false where there is none.
bool TakeNumber(std::string* text, double* number) {
  const std::size_t begin = text->find_first_not_of(' ');
  if (begin == std::string::npos) return false;
  const char* end = text->data() + text->size();
  const auto [stop, error] = std::from_chars(text->data() + begin, end, *number);
  if (error != std::errc() || !std::isfinite(*number)) return false;
  const std::string rest(stop, end);
  const std::size_t next = rest.find_first_not_of(' ');
  *text = next == std::string::npos ? "" : rest.substr(next);
  return true;
}

}  // namespace

YAML::Node ReadYaml(const std::string& path) {
  if (std::filesystem::is_directory(path)) throw UserError(path + ": expected a YAML file, found a folder");
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw UserError(path + ": no such config file");
  std::stringstream text;
  text << stream.rdbuf();
  try {
    const YAML::Node node = YAML::Load(text.str());
    if (!node.IsMap()) throw UserError(path + ": expected sections such as Global, found " + Shown(node));
    RefuseTwice(node, path);
    return node;
  } catch (const YAML::Exception& error) {
    throw UserError(path + ":" + std::to_string(error.mark.line + 1) + ": not valid YAML: " + FirstLine(error.msg));
  }
}

YamlSection::YamlSection(const YAML::Node& node, const std::string& place) : node_(node), place_(place) {
  if (!HasNoValue(node_) && !node_.IsMap()) {
    throw UserError(place_ + ": expected a mapping of options, found " + Shown(node_));
  }
}

YAML::Node YamlSection::Find(const std::string& key) {
  known_.insert(key);
  const YAML::Node& node = node_;  // operator[] of a Node that is not const would add the key
  const YAML::Node found = node.IsMap() ? node[key] : YAML::Node();
  return found.IsDefined() ? found : YAML::Node();
}

void YamlSection::Refuse(const std::string& key, const std::string& expected) const {
  const YAML::Node& node = node_;
  throw UserError(place_ + "." + key + ": expected " + expected + ", found " + Shown(node[key]));
}

std::optional<bool> YamlSection::Bool(const std::string& key) {
  const YAML::Node node = Find(key);
  if (HasNoValue(node)) return std::nullopt;
  bool value = false;
  if (!node.IsScalar() || !YAML::convert<bool>::decode(node, value)) {
    Refuse(key, "True or False");
  }
  return value;
}

int YamlSection::WholeOf(const YAML::Node& node, const std::string& key, int low) const {
  int value = 0;
  if (!node.IsScalar() || !YAML::convert<int>::decode(node, value) || value < low) {
    Refuse(key, "a whole number of at least " + std::to_string(low));
  }
  return value;
}

std::optional<int> YamlSection::Whole(const std::string& key, int low) {
  const YAML::Node node = Find(key);
  if (HasNoValue(node)) return std::nullopt;
  return WholeOf(node, key, low);
}

// Configs write products such as 1.0/255.0.
double YamlSection::NumberOf(const YAML::Node& node, const std::string& key) const {
  std::string text = node.IsScalar() ? node.Scalar() : "";
  double value = 0;
  double next = 0;
  bool valid = TakeNumber(&text, &value);
  while (valid && !text.empty()) {
    const char operation = text[0];
    text.erase(0, 1);
    valid = (operation == '*' || operation == '/') && TakeNumber(&text, &next);
    value = operation == '*' ? value * next : value / next;
  }
  if (!valid || !std::isfinite(value)) Refuse(key, "a number or a quotient such as 1.0/255.0");
  return value;
}

std::optional<double> YamlSection::Number(const std::string& key) {
  const YAML::Node node = Find(key);
  if (HasNoValue(node)) return std::nullopt;
  return NumberOf(node, key);
}

std::optional<std::array<double, 3>> YamlSection::ThreeNumbers(const std::string& key) {
  const YAML::Node node = Find(key);
  if (HasNoValue(node)) return std::nullopt;
  if (!node.IsSequence() || node.size() != 3) Refuse(key, "a list of 3 numbers");
  std::array<double, 3> values{};
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = NumberOf(node[i], key);
  return values;
}

std::optional<std::string> YamlSection::Text(const std::string& key) {
  const YAML::Node node = Find(key);
  if (HasNoValue(node)) return std::nullopt;
  if (!node.IsScalar()) Refuse(key, "a text");
  return node.Scalar();
}

std::optional<std::vector<std::string>> YamlSection::Texts(const std::string& key) {
  const YAML::Node node = Find(key);
  if (HasNoValue(node)) return std::nullopt;
  if (!node.IsSequence()) Refuse(key, "a list");
  std::vector<std::string> texts;
  for (const auto& entry : node) {
    if (!entry.IsScalar()) Refuse(key, "a list of texts");
    texts.push_back(entry.Scalar());
  }
  return texts;
}

std::optional<Size> YamlSection::WidthAndHeight(const std::string& key) {
  const YAML::Node node = Find(key);
  if (HasNoValue(node)) return std::nullopt;
  if (!node.IsSequence()) {
    const int side = WholeOf(node, key, 1);
    return Size{side, side};
  }
  if (node.size() != 2) Refuse(key, "a whole number or [width, height]");
  return Size{WholeOf(node[0], key, 1), WholeOf(node[1], key, 1)};
}

std::optional<YAML::Node> YamlSection::Node(const std::string& key) {
  const YAML::Node node = Find(key);
  if (HasNoValue(node)) return std::nullopt;
  return node;
}

void YamlSection::RefuseOthers() const {
  if (!node_.IsMap()) return;
  const std::vector<std::string> known(known_.begin(), known_.end());
  for (const auto& entry : node_) {
    const std::string key = entry.first.as<std::string>();
    if (known_.count(key) == 0) {
      throw UserError(place_ + ": unknown option '" + key + "'" + Nearest(key, known) + "; known: " + Joined(known));
    }
  }
}

}  // namespace ppcls
