// Scores by Paddle Lite; needs its headers (cxx/include of the library).
#include <algorithm>
#include <fstream>
#include <stdexcept>

#include "paddle_api.h"
#include "predictor.h"

namespace ppcls {
namespace {

class LitePredictor : public Predictor {
 public:
  LitePredictor(const std::string& model_file, int num_threads) {
    paddle::lite_api::MobileConfig config;
    config.set_model_from_file(model_file);
    config.set_threads(num_threads);
    predictor_ = paddle::lite_api::CreatePaddlePredictor<paddle::lite_api::MobileConfig>(config);
    if (predictor_ == nullptr) throw std::runtime_error(model_file + ": Paddle Lite cannot load it");
  }

  std::vector<float> Run(const std::vector<float>& inputs, int count, Size size) override {
    auto input = predictor_->GetInput(0);
    input->Resize({count, kChannels, size.height, size.width});
    std::copy(inputs.begin(), inputs.end(), input->mutable_data<float>());
    predictor_->Run();
    const auto output = predictor_->GetOutput(0);
    std::int64_t numbers = 1;
    for (const std::int64_t side : output->shape()) numbers *= side;
    const float* scores = output->data<float>();
    return {scores, scores + numbers};
  }

 private:
  std::shared_ptr<paddle::lite_api::PaddlePredictor> predictor_;
};

}  // namespace

std::unique_ptr<Predictor> LoadPredictor(const std::string& model_file, int num_threads) {
  if (!std::ifstream(model_file)) throw std::runtime_error(model_file + ": no such model");  // Paddle Lite would abort
  return std::unique_ptr<Predictor>(new LitePredictor(model_file, num_threads));
}

}  // namespace ppcls
