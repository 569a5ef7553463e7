#include "settings.h"

#include <algorithm>
#include <iostream>

#include "errors.h"
#include "yaml_section.h"

namespace ppcls {
namespace {

constexpr char kHelp[] =
    R"(Classify images, or detect objects, with an exported model: the C++ form of predict_cls.py and predict_det.py.

    ppcls_infer -c deploy/configs/inference_cls.yaml -o Global.inference_model_dir=MODEL -o Global.infer_imgs=IMAGES

-c CONFIG     the same file as for Python
-o KEY=VALUE  replaces one value of it; may be repeated

Global.infer_imgs is an image, a folder or a list file. Of Global, these are read: infer_imgs inference_model_dir
batch_size num_workers engine use_gpu gpu_id gpu_mem enable_mkldnn cpu_num_threads ir_optim use_tensorrt precision
(fp32, fp16, int8) use_fp16 use_int8 benchmark save_log_path save_file; and, for comparisons, save_inputs (a .npy file)
and save_outputs (a folder for output_0.npy, …). PreProcess and PostProcess replace what the model's inference.yml says.
--engines     print the engines that this program was built with
Exit code: 0 all predicted, 1 an image, the config or the model cannot be used, 77 what the command line requests would
not be in effect.
)";

const std::vector<std::string>& Sections() {
  static const std::vector<std::string> sections = {"Global", "PreProcess", "PostProcess"};
  return sections;
}

const std::vector<std::string>& GlobalKeys() {
  static const std::vector<std::string> keys = {
      "infer_imgs",  "inference_model_dir", "batch_size", "num_workers",    "save_file",       "save_log_path",
      "save_inputs", "save_outputs",        "engine",     "use_gpu",        "gpu_id",          "gpu_mem",
      "ir_optim",    "enable_mkldnn",       "precision",  "use_tensorrt",   "use_fp16",        "use_int8",
      "benchmark",   "cpu_num_threads",     "output_dir", "enable_profile", "enable_benchmark"};
  return keys;
}

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char letter : text) {
    if (letter == '.') {
      parts.emplace_back();
    } else {
      parts.back() += letter;
    }
  }
  return parts;
}

void CheckKey(const std::string& key, const std::vector<std::string>& parts) {
  const auto known = [](const std::string& word, const std::vector<std::string>& words) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  if (!known(parts[0], Sections())) {
    throw UserError("-o " + key + ": unknown section '" + parts[0] + "'" + Nearest(parts[0], Sections()));
  }
  if (parts[0] == "Global" && (parts.size() != 2 || !known(parts[1], GlobalKeys()))) {
    const std::string name = parts.size() > 1 ? parts[1] : "";
    throw UserError("-o " + key + ": unknown key '" + name + "'" + Nearest(name, GlobalKeys()));
  }
}

YAML::Node Parsed(const std::string& text) {
  try {
    return YAML::Load(text);
  } catch (const YAML::Exception&) {
    return YAML::Node(text);
  }
}

// A list's elements are named by their numbers.
void Assign(YAML::Node node, const std::vector<std::string>& parts, std::size_t at, const YAML::Node& value) {
  const auto child = [&]() -> YAML::Node {
    if (!node.IsSequence()) return node[parts[at]];
    const bool number = !parts[at].empty() && parts[at].find_first_not_of("0123456789") == std::string::npos;
    if (!number || parts[at].size() > 9 || std::stoul(parts[at]) >= node.size()) {
      throw UserError("-o: '" + parts[at] + "': expected a number below " + std::to_string(node.size()));
    }
    return node[std::stoul(parts[at])];
  };
  YAML::Node found = child();
  if (at + 1 == parts.size()) {
    found = value;
    return;
  }
  if (found.IsDefined() && found.IsScalar()) {
    throw UserError("-o: '" + parts[at] + "' is a value, which has no key '" + parts[at + 1] + "'");
  }
  Assign(found, parts, at + 1, value);
}

struct Words {
  std::string config;
  std::vector<std::string> overrides;
};

std::optional<Words> ReadWords(const std::vector<std::string>& arguments) {
  Words words;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (word == "-h" || word == "--help") {
      std::cout << kHelp;
      return std::nullopt;
    }
    if (word == "--engines") {
      std::cout << Joined(EngineNames()) << '\n';
      return std::nullopt;
    }
    const bool is_config = word == "-c" || word == "--config";
    if (!is_config && word != "-o" && word != "--override") {
      throw UserError("'" + word + "': expected -c CONFIG or -o KEY=VALUE (see --help)");
    }
    if (i + 1 == arguments.size()) throw UserError("'" + word + "': expected a word behind it (see --help)");
    if (is_config) {
      words.config = arguments[++i];
    } else {
      words.overrides.push_back(arguments[++i]);
    }
  }
  if (words.config.empty()) throw UserError("expected -c CONFIG (see --help)");
  return words;
}

void Override(const YAML::Node& config, const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw UserError("-o " + text + ": expected KEY=VALUE, e.g. -o Global.batch_size=2");
  }
  const std::string key = text.substr(0, equals);
  const std::vector<std::string> parts = Split(key);
  CheckKey(key, parts);
  Assign(config, parts, 0, Parsed(text.substr(equals + 1)));
}

bool Demands(const std::vector<std::string>& overrides, const std::string& key) {
  bool demanded = false;
  for (const std::string& text : overrides) {
    if (text.rfind("Global." + key + "=", 0) != 0) continue;
    bool value = false;
    const YAML::Node node = Parsed(text.substr(text.find('=') + 1));
    demanded = node.IsScalar() && YAML::convert<bool>::decode(node, value) && value;
  }
  return demanded;
}

std::string ReadPrecision(YamlSection* global) {
  const bool fp16 = global->Bool("use_fp16").value_or(false);
  const bool int8 = global->Bool("use_int8").value_or(false);
  if (fp16 && int8) throw UserError("Global.use_fp16 and Global.use_int8: expected at most one of them to be True");
  const std::string precision = global->Text("precision").value_or(fp16 ? "fp16" : int8 ? "int8" : "fp32");
  if (precision != "fp32" && precision != "fp16" && precision != "int8") {
    global->Refuse("precision", "fp32, fp16 or int8");
  }
  return precision;
}

EngineOptions ReadEngineOptions(YamlSection* global, const std::vector<std::string>& overrides) {
  EngineOptions options;
  options.use_gpu = global->Bool("use_gpu").value_or(false);
  options.gpu_id = global->Whole("gpu_id", 0).value_or(options.gpu_id);
  options.gpu_mem = global->Whole("gpu_mem", 1).value_or(options.gpu_mem);
  options.enable_mkldnn = global->Bool("enable_mkldnn").value_or(options.enable_mkldnn);
  options.cpu_num_threads = global->Whole("cpu_num_threads", 1).value_or(options.cpu_num_threads);
  options.ir_optim = global->Bool("ir_optim").value_or(options.ir_optim);
  options.use_tensorrt = global->Bool("use_tensorrt").value_or(false);
  options.precision = ReadPrecision(global);
  options.demands_gpu = Demands(overrides, "use_gpu");
  options.demands_mkldnn = Demands(overrides, "enable_mkldnn");
  options.demands_tensorrt = Demands(overrides, "use_tensorrt");
  return options;
}

std::string Required(YamlSection* global, const std::string& key) {
  const std::string value = global->Text(key).value_or("");
  if (value.empty()) global->Refuse(key, "a value");
  return value;
}

}  // namespace

std::optional<Settings> ReadSettings(const std::vector<std::string>& arguments) {
  const std::optional<Words> words = ReadWords(arguments);
  if (!words) return std::nullopt;
  const YAML::Node config = ReadYaml(words->config);
  for (const std::string& text : words->overrides) Override(config, text);

  YamlSection top(config, words->config);
  for (const std::string& section : Sections()) top.Node(section);
  top.RefuseOthers();
  YamlSection global(top.Node("Global").value_or(YAML::Node()), words->config + ": Global");
  Settings settings;
  settings.config_path = words->config;
  settings.images = Required(&global, "infer_imgs");
  settings.model_dir = Required(&global, "inference_model_dir");
  settings.batch_size = global.Whole("batch_size", 1).value_or(1);
  settings.num_workers = global.Whole("num_workers", 0);
  settings.engine = global.Text("engine").value_or("");
  settings.options = ReadEngineOptions(&global, words->overrides);
  settings.options.batch_size = settings.batch_size;
  settings.benchmark = global.Bool("benchmark").value_or(false);
  settings.save_log_path = global.Text("save_log_path").value_or("");
  settings.save_file = global.Text("save_file").value_or("");
  settings.save_inputs = global.Text("save_inputs").value_or("");
  settings.save_outputs = global.Text("save_outputs").value_or("");
  YamlSection prepare(top.Node("PreProcess").value_or(YAML::Node()), words->config + ": PreProcess");
  settings.transform_ops = prepare.Node("transform_ops").value_or(YAML::Node());
  settings.postprocess = top.Node("PostProcess").value_or(YAML::Node());
  return settings;
}

}  // namespace ppcls
