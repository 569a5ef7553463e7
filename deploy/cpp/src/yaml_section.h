// The options of one mapping of a YAML file, read with checks.
#ifndef PPCLS_YAML_SECTION_H_
#define PPCLS_YAML_SECTION_H_

#include <yaml-cpp/yaml.h>

#include <array>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "image.h"

namespace ppcls {

// The mapping in a file. Throws UserError for a file that cannot be read, is no YAML, or has a key twice.
YAML::Node ReadYaml(const std::string& path);

// Errors open with `place`, such as "inference.yml: Global". A key that is missing or null has no value.
class YamlSection {
 public:
  YamlSection(const YAML::Node& node, const std::string& place);

  std::optional<bool> Bool(const std::string& key);
  std::optional<int> Whole(const std::string& key, int low);
  std::optional<double> Number(const std::string& key);
  std::optional<std::array<double, 3>> ThreeNumbers(const std::string& key);
  std::optional<std::string> Text(const std::string& key);
  std::optional<std::vector<std::string>> Texts(const std::string& key);
  std::optional<Size> WidthAndHeight(const std::string& key);  // a whole number or [width, height]
  std::optional<YAML::Node> Node(const std::string& key);

  // Throws UserError for the first key that no call above named.
  void RefuseOthers() const;

  [[noreturn]] void Refuse(const std::string& key, const std::string& expected) const;

 private:
  YAML::Node Find(const std::string& key);
  int WholeOf(const YAML::Node& node, const std::string& key, int low) const;
  double NumberOf(const YAML::Node& node, const std::string& key) const;

  YAML::Node node_;
  std::string place_;
  std::set<std::string> known_;
};

}  // namespace ppcls

#endif  // PPCLS_YAML_SECTION_H_
