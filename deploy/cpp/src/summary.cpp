#include "summary.h"

#include <sched.h>
#include <sys/utsname.h>

#include <cstdio>
#include <ctime>
#include <fstream>
#include <map>

#include "errors.h"

namespace ppcls {
namespace {

std::string Fixed(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

std::string Stamp() {
  char text[64];
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::strftime(text, sizeof text, "[%Y/%m/%d %H:%M:%S] root INFO: ", &local);
  return text;
}

// The value behind `key` and `separator` in a file of such lines; empty where there is none.
std::string ValueIn(const std::string& path, const std::string& key, char separator) {
  std::ifstream stream(path);
  std::string line;
  while (std::getline(stream, line)) {
    if (line.rfind(key, 0) != 0) continue;
    const std::size_t begin = line.find_first_not_of(" \t\"'", line.find(separator) + 1);
    if (begin == std::string::npos) return "";
    return line.substr(begin, line.find_last_not_of(" \t\"'") - begin + 1);
  }
  return "";
}

std::string SystemName() {
  const std::string name = ValueIn("/etc/os-release", "NAME=", '=');
  utsname facts{};
  if (name.empty()) return uname(&facts) == 0 ? std::string(facts.sysname) + " " + facts.release : "None";
  const std::string version = ValueIn("/etc/os-release", "VERSION_ID=", '=');
  return version.empty() ? name : name + " " + version;
}

// The most memory that this process has had.
std::string PeakMemory() {
  const std::string kilobytes = ValueIn("/proc/self/status", "VmHWM", ':');
  return kilobytes.empty() ? "None" : Fixed(std::stod(kilobytes) / 1024, 4);
}

std::string Truth(bool value) { return value ? "True" : "False"; }

}  // namespace

int UsableCores() {
  cpu_set_t cores;
  return sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
}

std::string Summary(const Predictor& predictor, const ModelConfig& model, const Settings& settings) {
  const Timing& timing = predictor.timing();
  if (timing.images == 0) throw UserError("no image was predicted, so there are no times to report");
  std::map<std::string, std::string> facts;
  for (const auto& [key, value] : predictor.engine().facts()) facts[key] = value;
  const std::string& engine = facts["engine"];
  const bool is_paddle = engine != "openvino";
  const auto per_batch = [&](double seconds) { return Fixed(1000 * seconds / timing.batches, 4); };
  const std::string stamp = Stamp();
  std::string text = stamp + "\n";
  const auto title = [&](int before, const std::string& name, int after) {
    text += "\n" + stamp + std::string(static_cast<std::size_t>(before), '-') + " " + name + " " +
            std::string(static_cast<std::size_t>(after), '-');
  };
  const auto entry = [&](const std::string& key, const std::string& value) {
    text += "\n" + stamp + " " + key + ": " + value;
  };
  title(22, "Env info", 22);
  entry("OS_version", SystemName());
  entry("CUDA_version", "None");
  entry("CUDNN_version", "None");
  entry("drivier_version", "None");  // as AutoLog spells it
  title(22, "Paddle info", 22);
  entry("paddle_version", is_paddle ? facts["engine_version"] : "None");
  entry("paddle_commit", "None");
  entry("log_api_version", "1.0");
  title(23, "Conf info", 23);
  entry("runtime_device", facts["runtime_device"]);
  entry("ir_optim", is_paddle ? Truth(settings.options.ir_optim) : "None");
  entry("enable_memory_optim", is_paddle ? "True" : "None");
  entry("enable_tensorrt", Truth(engine == "tensorrt"));
  entry("enable_mkldnn", Truth(engine == "onednn"));
  entry("cpu_math_library_num_threads", std::to_string(settings.options.cpu_num_threads));
  title(23, "Model info", 22);
  entry("model_name", model.name);
  entry("precision", facts["precision"]);
  title(23, "Data info", 23);
  entry("batch_size", std::to_string(settings.batch_size));
  entry("input_shape", model.image_shape);
  entry("data_num", std::to_string(timing.batches));
  title(23, "Perf info", 23);
  entry("cpu_rss(MB)", PeakMemory() + ", gpu_rss(MB): None, gpu_util: None%");
  entry("total time spent(s)", Fixed(timing.preprocess + timing.inference + timing.postprocess, 4));
  entry("preprocess_time(ms)", per_batch(timing.preprocess) + ", inference_time(ms): " + per_batch(timing.inference) +
                                   ", postprocess_time(ms): " + per_batch(timing.postprocess));
  title(19, "Further facts", 19);
  entry("CPU_model", ValueIn("/proc/cpuinfo", "model name", ':'));
  entry("CPU_cores", std::to_string(UsableCores()));
  entry("engine", engine);
  entry("engine_version", facts["engine_version"]);
  entry("images", std::to_string(timing.images));
  return text;
}

std::string TimingLine(const Timing& timing, int batch_size, int workers) {
  const auto per_image = [&](double seconds) { return Fixed(1000 * seconds / std::max(timing.images, 1), 2); };
  return std::to_string(timing.images) + " images, batch size " + std::to_string(batch_size) +
         ", milliseconds per image: preprocess " + per_image(timing.preprocess) + ", inference " +
         per_image(timing.inference) + ", postprocess " + per_image(timing.postprocess) + "; " +
         Fixed(timing.images / (timing.elapsed > 0 ? timing.elapsed : 1), 1) +
         " images/s, reading threads: " + std::to_string(workers);
}

}  // namespace ppcls
