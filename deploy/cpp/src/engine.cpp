#include "engine.h"

#include <algorithm>

#include "backends.h"
#include "errors.h"

namespace ppcls {

std::vector<std::string> EngineNames() {
  std::vector<std::string> names;
#ifdef PPCLS_WITH_PADDLE
  names.insert(names.end(), {"paddle", "onednn", "gpu", "tensorrt"});
#endif
#ifdef PPCLS_WITH_OPENVINO
  names.emplace_back("openvino");
#endif
  return names;
}

std::unique_ptr<Engine> CreateEngine(const std::string& name, const ModelFiles& model, const EngineOptions& options) {
  const std::vector<std::string> names = EngineNames();
  const std::string chosen = name.empty() ? names.at(0) : name;
#ifdef PPCLS_WITH_OPENVINO
  if (chosen == "openvino") return CreateOpenVino(model, options);
#endif
#ifdef PPCLS_WITH_PADDLE
  if (std::find(names.begin(), names.end(), chosen) != names.end()) return CreatePaddle(name, model, options);
#endif
  throw UserError("Global.engine=" + name + ": this program was built with " + Joined(names) + Nearest(name, names),
                  kNotInEffect);
}

}  // namespace ppcls
