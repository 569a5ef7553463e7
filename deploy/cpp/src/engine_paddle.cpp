#include <paddle_inference_api.h>

#include <algorithm>
#include <numeric>

#include "backends.h"
#include "errors.h"

namespace ppcls {
namespace {

constexpr int kWorkspace = 1 << 30;  // bytes that TensorRT may use while it chooses kernels
constexpr int kSmallestPart = 3;     // operators; smaller parts stay with Paddle
constexpr int kOnednnShapes = 10;    // input shapes that oneDNN keeps its kernels for

template <typename Number>
std::vector<float> Numbers(paddle_infer::Tensor* tensor, std::size_t count) {
  std::vector<Number> numbers(count);
  tensor->CopyToCpu(numbers.data());
  return {numbers.begin(), numbers.end()};
}

Tensor Copied(paddle_infer::Tensor* from) {
  const std::vector<int> shape = from->shape();
  const auto count = static_cast<std::size_t>(
      std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<std::int64_t>()));
  Tensor to{{shape.begin(), shape.end()}, {}};
  switch (from->type()) {
    case paddle_infer::DataType::FLOAT32:
      to.values = Numbers<float>(from, count);
      break;
    case paddle_infer::DataType::INT32:
      to.values = Numbers<std::int32_t>(from, count);
      break;
    case paddle_infer::DataType::INT64:
      to.values = Numbers<std::int64_t>(from, count);
      break;
    default:
      throw UserError("the model's output is neither float32, int32 nor int64");
  }
  return to;
}

paddle_infer::PrecisionType PrecisionOf(const std::string& name) {
  if (name == "fp16") return paddle_infer::PrecisionType::kHalf;
  return name == "int8" ? paddle_infer::PrecisionType::kInt8 : paddle_infer::PrecisionType::kFloat32;
}

void ConfigureGpu(const EngineOptions& options, paddle_infer::Config* config) {
  config->EnableUseGpu(static_cast<std::uint64_t>(options.gpu_mem), options.gpu_id);
  if (options.use_tensorrt) {
    config->EnableTensorRtEngine(kWorkspace, options.batch_size, kSmallestPart, PrecisionOf(options.precision), false,
                                 false);
  }
}

// Paddle 2.5 and older have no such method, and oneDNN is off there unless it is switched on.
template <typename Config>
auto DisableMkldnn(Config* config, int) -> decltype(config->DisableMKLDNN()) {
  config->DisableMKLDNN();
}

template <typename Config>
void DisableMkldnn(Config*, long) {}

// oneDNN's switches have had two names: MKLDNN up to Paddle 3.0, ONEDNN since. Each overload is there for a Config that
// has the method, and the one with `int` is preferred.
template <typename Config>
auto SwitchOnednn(Config* config, bool on, int) -> decltype(config->EnableONEDNN()) {
  if (!on) return config->DisableONEDNN();
  config->EnableONEDNN();
  config->SetOnednnCacheCapacity(kOnednnShapes);
}

template <typename Config>
auto SwitchOnednn(Config* config, bool on, long) -> decltype(config->EnableMKLDNN()) {
  if (!on) return DisableMkldnn(config, 0);
  config->EnableMKLDNN();
  config->SetMkldnnCacheCapacity(kOnednnShapes);
}

void ConfigureCpu(const EngineOptions& options, paddle_infer::Config* config) {
  config->DisableGpu();
  config->SetCpuMathLibraryNumThreads(options.cpu_num_threads);
  SwitchOnednn(config, options.enable_mkldnn, 0);
}

// Paddle's errors are pages, and the line with "Error: " says what is wrong.
std::string Reason(const std::string& message) {
  const std::size_t at = message.find("Error: ");
  const std::size_t begin = at == std::string::npos ? std::string::npos : message.rfind('\n', at);
  return FirstLine(begin == std::string::npos ? message : message.substr(begin));
}

class PaddleEngine : public Engine {
 public:
  PaddleEngine(const ModelFiles& model, const EngineOptions& options) : folder_(model.folder), options_(options) {
    paddle_infer::Config config(model.structure, model.params);
    config.DisableGlogInfo();
    if (options.use_gpu) {
      ConfigureGpu(options, &config);
    } else {
      ConfigureCpu(options, &config);
    }
    config.SwitchIrOptim(options.ir_optim || options.use_tensorrt);
    config.EnableMemoryOptim();
    try {
      predictor_ = paddle_infer::CreatePredictor(config);
    } catch (const std::exception& error) {
      throw UserError(folder_ + ": Paddle Inference cannot load it: " + Reason(error.what()));
    }
    if (predictor_ == nullptr) throw UserError(folder_ + ": Paddle Inference cannot load it");
  }

  std::vector<std::string> inputs() const override { return predictor_->GetInputNames(); }

  std::vector<Tensor> Run(const std::vector<Tensor>& batch) override {
    try {
      const std::vector<std::string> names = inputs();
      for (std::size_t i = 0; i < batch.size(); ++i) {
        const auto handle = predictor_->GetInputHandle(names[i]);
        handle->Reshape({batch[i].shape.begin(), batch[i].shape.end()});
        handle->CopyFromCpu(batch[i].values.data());
      }
      if (!predictor_->Run()) throw UserError(folder_ + ": Paddle Inference cannot run it with this batch");
      std::vector<Tensor> outputs;
      for (const std::string& name : predictor_->GetOutputNames()) {
        outputs.push_back(Copied(predictor_->GetOutputHandle(name).get()));
      }
      return outputs;
    } catch (const UserError&) {
      throw;
    } catch (const std::exception& error) {
      throw UserError(folder_ + ": Paddle Inference cannot run it with this batch: " + Reason(error.what()));
    }
  }

  Facts facts() const override {
    const std::string name = options_.use_tensorrt    ? "tensorrt"
                             : options_.use_gpu       ? "gpu"
                             : options_.enable_mkldnn ? "onednn"
                                                      : "paddle";
    const std::string version = paddle_infer::GetVersion();
    const std::size_t colon = version.find(": ");
    return {{"runtime_device", options_.use_gpu ? "gpu" : "cpu"},
            {"engine", name},
            {"engine_version",
             "Paddle Inference " + FirstLine(colon == std::string::npos ? version : version.substr(colon + 2))},
            {"precision", options_.use_tensorrt ? options_.precision : "fp32"}};
  }

 private:
  std::string folder_;
  EngineOptions options_;
  std::shared_ptr<paddle_infer::Predictor> predictor_;
};

// A library that was built for the CPU leaves the switch as it was.
bool CanUseGpu(const EngineOptions& options) {
  paddle_infer::Config config;
  config.EnableUseGpu(static_cast<std::uint64_t>(options.gpu_mem), options.gpu_id);
  return config.use_gpu();
}

// A name says what the switches say.
EngineOptions Named(const std::string& name, EngineOptions options) {
  if (name.empty()) return options;
  options.use_gpu = name == "gpu" || name == "tensorrt";
  options.use_tensorrt = name == "tensorrt";
  options.enable_mkldnn = name == "onednn";
  options.demands_gpu = options.demands_gpu || options.use_gpu;
  return options;
}

}  // namespace

std::unique_ptr<Engine> CreatePaddle(const std::string& name, const ModelFiles& model, const EngineOptions& requested) {
  EngineOptions options = Named(name, requested);
  if (options.use_tensorrt && !options.use_gpu) {
    throw UserError("Global.use_tensorrt=True: TensorRT needs Global.use_gpu=True");
  }
  if (options.precision != "fp32" && !options.use_tensorrt) {
    throw UserError("Global.precision=" + options.precision + ": only TensorRT computes in it here", kNotInEffect);
  }
  if (options.use_gpu && !CanUseGpu(options)) {
    if (options.demands_gpu || options.demands_tensorrt) {
      throw UserError("Global.use_gpu=True: this Paddle Inference computes on the CPU only; set Global.use_gpu=False",
                      kNotInEffect);
    }
    options.use_gpu = options.use_tensorrt = false;
  }
  return std::make_unique<PaddleEngine>(model, options);
}

}  // namespace ppcls
