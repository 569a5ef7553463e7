// The one interface of everything that computes a network.
#ifndef PPCLS_ENGINE_H_
#define PPCLS_ENGINE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model.h"
#include "tensor.h"

namespace ppcls {

// Names and defaults of the `Global` section of a prediction config.
struct EngineOptions {
  bool use_gpu = false;
  int gpu_id = 0;
  int gpu_mem = 8000;  // MB
  bool enable_mkldnn = true;
  int cpu_num_threads = 2;
  bool ir_optim = true;
  bool use_tensorrt = false;
  std::string precision = "fp32";  // fp16 and int8 are TensorRT's
  int batch_size = 1;              // the largest to expect

  // What the command line itself switched on: in effect, or refused.
  bool demands_gpu = false;
  bool demands_mkldnn = false;
  bool demands_tensorrt = false;
};

using Facts = std::vector<std::pair<std::string, std::string>>;

class Engine {
 public:
  virtual ~Engine() = default;

  // The names of the network's inputs, in the model's order.
  virtual std::vector<std::string> inputs() const = 0;

  // All outputs in the model's order, for one tensor per name of `inputs()`; whole numbers become float. Throws
  // UserError for a batch that the network cannot take.
  virtual std::vector<Tensor> Run(const std::vector<Tensor>& batch) = 0;

  // What the summary says: device, version, what is in effect. Keys are AutoLog's.
  virtual Facts facts() const = 0;
};

// The engines that this program was built with, the usual one first.
std::vector<std::string> EngineNames();

// `name` is one of `EngineNames()`, or empty for the usual one. Throws UserError for a model that cannot be loaded, and
// for options that would not be in effect (with the exit code kNotInEffect).
std::unique_ptr<Engine> CreateEngine(const std::string& name, const ModelFiles& model, const EngineOptions& options);

}  // namespace ppcls

#endif  // PPCLS_ENGINE_H_
