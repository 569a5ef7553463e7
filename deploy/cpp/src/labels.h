// The names of classes.
#ifndef PPCLS_LABELS_H_
#define PPCLS_LABELS_H_

#include <map>
#include <string>
#include <vector>

#include "yaml_section.h"

namespace ppcls {

class Labels {
 public:
  Labels() = default;

  // Reads `class_id_map_file` (lines `<id> <name>`, with another `delimiter` where that is given) or `label_list` of a
  // PostProcess section; the file is below `folder`. Throws UserError for a line that is not one.
  Labels(YamlSection* postprocess, const std::string& folder);

  bool empty() const { return names_.empty(); }

  // The names of the classes 0 to `count` - 1; throws UserError unless the names, where there are any, are theirs.
  std::vector<std::string> ForClasses(std::size_t count) const;

  // Throws UserError for a class without a name.
  const std::string& NameOf(int id) const;

 private:
  void ReadFile(const std::string& path, const std::string& delimiter);

  std::string source_;
  std::map<int, std::string> names_;
};

}  // namespace ppcls

#endif  // PPCLS_LABELS_H_
