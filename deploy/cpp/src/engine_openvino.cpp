#include <algorithm>
#include <openvino/openvino.hpp>
#include <optional>

#include "backends.h"
#include "errors.h"

namespace ppcls {
namespace {

ov::Shape ShapeOf(const Tensor& tensor) { return {tensor.shape.begin(), tensor.shape.end()}; }

std::vector<ov::Shape> ShapesOf(const std::vector<Tensor>& batch) {
  std::vector<ov::Shape> shapes;
  std::transform(batch.begin(), batch.end(), std::back_inserter(shapes), ShapeOf);
  return shapes;
}

template <typename Number>
void CopyNumbers(const ov::Tensor& from, std::vector<float>* to) {
  const Number* numbers = from.data<const Number>();
  std::transform(numbers, numbers + from.get_size(), to->begin(), [](Number n) { return static_cast<float>(n); });
}

Tensor Copied(const ov::Tensor& from) {
  const ov::Shape shape = from.get_shape();
  Tensor to{{shape.begin(), shape.end()}, std::vector<float>(from.get_size())};
  if (from.get_element_type() == ov::element::f32) {
    CopyNumbers<float>(from, &to.values);
  } else if (from.get_element_type() == ov::element::i32) {
    CopyNumbers<std::int32_t>(from, &to.values);
  } else if (from.get_element_type() == ov::element::i64) {
    CopyNumbers<std::int64_t>(from, &to.values);
  } else {
    throw UserError("the model's output is of " + from.get_element_type().get_type_name() +
                    ": expected numbers of 32 "
                    "or 64 bits");
  }
  return to;
}

class OpenVinoEngine : public Engine {
 public:
  OpenVinoEngine(const ModelFiles& model, const EngineOptions& options) : folder_(model.folder), options_(options) {
    model_ = Guarded("cannot load it", [&] { return core_.read_model(model.structure, model.params); });
  }

  std::vector<std::string> inputs() const override {
    std::vector<std::string> names;
    for (const auto& input : model_->inputs()) names.push_back(input.get_any_name());
    return names;
  }

  std::vector<Tensor> Run(const std::vector<Tensor>& batch) override {
    return Guarded("cannot run it with this batch", [&] {
      ov::InferRequest& request = RequestFor(ShapesOf(batch));
      for (std::size_t i = 0; i < batch.size(); ++i) {
        // the request only reads what is an input
        request.set_input_tensor(
            i, ov::Tensor(ov::element::f32, ShapeOf(batch[i]), const_cast<float*>(batch[i].values.data())));
      }
      request.infer();
      std::vector<Tensor> outputs;
      for (std::size_t i = 0; i < model_->outputs().size(); ++i)
        outputs.push_back(Copied(request.get_output_tensor(i)));
      return outputs;
    });
  }

  Facts facts() const override {
    const std::string version = ov::get_openvino_version().buildNumber;
    return {{"runtime_device", "cpu"},
            {"engine", "openvino"},
            {"engine_version", "OpenVINO " + version.substr(0, version.find('-'))},
            {"precision", "fp32"}};
  }

 private:
  struct Compiled {
    std::vector<ov::Shape> shapes;  // empty: any
    ov::CompiledModel model;
    ov::InferRequest request;
  };

  template <typename Call>
  auto Guarded(const std::string& what, Call call) const -> decltype(call()) {
    try {
      return call();
    } catch (const ov::Exception& error) {
      throw UserError(folder_ + ": OpenVINO " + what + ": " + Reason(error.what()));
    } catch (const std::bad_alloc&) {
      throw UserError(folder_ + ": OpenVINO " + what + ": out of memory");
    }
  }

  // OpenVINO's messages begin with lines that name its own sources.
  static std::string Reason(const std::string& message) {
    std::string reason = FirstLine(message);
    for (std::size_t at = 0; at < message.size();) {
      const std::size_t end = std::min(message.find('\n', at), message.size());
      const std::string line = FirstLine(message.substr(at, end - at));
      const bool names_source = line.empty() || line.rfind("Exception from", 0) == 0 || line.rfind("Check '", 0) == 0;
      if (!names_source) return line;
      at = end + 1;
    }
    return reason;
  }

  // The first shapes get a network of their own, which is faster; all that follow share one for any shapes.
  ov::InferRequest& RequestFor(const std::vector<ov::Shape>& shapes) {
    if (!first_) first_.emplace(Compile(shapes));
    if (first_->shapes == shapes) return first_->request;
    if (!any_) any_.emplace(Compile({}));
    return any_->request;
  }

  Compiled Compile(const std::vector<ov::Shape>& shapes) {
    const std::shared_ptr<ov::Model> model = shapes.empty() ? model_ : model_->clone();
    if (!shapes.empty()) {
      std::map<std::size_t, ov::PartialShape> fixed;
      for (std::size_t i = 0; i < shapes.size(); ++i) fixed[i] = shapes[i];
      model->reshape(fixed);
    }
    Compiled compiled;
    compiled.shapes = shapes;
    compiled.model = core_.compile_model(model, "CPU", ov::hint::inference_precision(ov::element::f32),
                                         ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY),
                                         ov::inference_num_threads(options_.cpu_num_threads));
    compiled.request = compiled.model.create_infer_request();
    return compiled;
  }

  std::string folder_;
  EngineOptions options_;
  ov::Core core_;
  std::shared_ptr<ov::Model> model_;
  std::optional<Compiled> first_;
  std::optional<Compiled> any_;
};

// What is switched on in the command line and would have no effect.
std::string Refused(const EngineOptions& options) {
  if (options.demands_gpu) return "Global.use_gpu=True";
  if (options.demands_tensorrt) return "Global.use_tensorrt=True";
  if (options.demands_mkldnn) return "Global.enable_mkldnn=True";
  if (options.precision != "fp32") return "Global.precision=" + options.precision;
  return "";
}

}  // namespace

std::unique_ptr<Engine> CreateOpenVino(const ModelFiles& model, const EngineOptions& options) {
  const std::string refused = Refused(options);
  if (!refused.empty()) {
    throw UserError(refused +
                        ": this program was built with OpenVINO, which computes in FP32 on the CPU; build it with "
                        "-DPADDLE_LIB=<folder of paddle_inference> for that",
                    kNotInEffect);
  }
  const std::string json = ".json";
  if (model.structure.size() > json.size() && model.structure.substr(model.structure.size() - json.size()) == json) {
    throw UserError(model.structure +
                        ": OpenVINO does not read Paddle 3's format; export with Paddle 3.1 or older, or with "
                        "Global.export_format=pdmodel, to get inference.pdmodel",
                    kNotInEffect);
  }
  return std::make_unique<OpenVinoEngine>(model, options);
}

}  // namespace ppcls
