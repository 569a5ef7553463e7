// The engines behind `CreateEngine`; each is there where the program was built with its library.
#ifndef PPCLS_BACKENDS_H_
#define PPCLS_BACKENDS_H_

#include <memory>
#include <string>

#include "engine.h"

namespace ppcls {

// OpenVINO's own runtime on the CPU, in FP32; reads inference.pdmodel.
std::unique_ptr<Engine> CreateOpenVino(const ModelFiles& model, const EngineOptions& options);

// Paddle Inference: `name` is paddle, onednn, gpu or tensorrt, or empty for what the options mean.
std::unique_ptr<Engine> CreatePaddle(const std::string& name, const ModelFiles& model, const EngineOptions& options);

}  // namespace ppcls

#endif  // PPCLS_BACKENDS_H_
