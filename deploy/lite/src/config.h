// The settings of the demo: config.txt, lines of a key and a value with a blank between them.
//
// The eleven keys of PaddleClas's demo, and those that say how the images are prepared (in PaddleClas's they are
// fixed). write_demo.py writes the file from the inference.yml of an exported model.
#ifndef PPCLS_LITE_CONFIG_H_
#define PPCLS_LITE_CONFIG_H_

#include <array>
#include <string>

#include "image.h"

namespace ppcls {

struct Config {
  std::string clas_model_file;
  std::string label_path;
  int resize_short_size = 0;  // 0: resize_size is used
  Size resize_size{0, 0};
  Size crop_size{0, 0};  // 0: no crop
  double scale = 1.0;
  std::array<double, kChannels> mean{};
  std::array<double, kChannels> deviation{};
  bool is_bgr = false;
  int topk = 5;
  int num_threads = 1;
  int batch_size = 1;
  std::string precision;
  std::string runtime_device;
  bool enable_benchmark = false;
  bool tipc_benchmark = false;
};

// Throws std::runtime_error, one line with file and line number, for a key that is unknown, missing or there twice, and
// for a value of the wrong kind.
Config ReadConfig(const std::string& path);

}  // namespace ppcls

#endif  // PPCLS_LITE_CONFIG_H_
