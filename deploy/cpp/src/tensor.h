// An array of numbers, as networks take and return it.
#ifndef PPCLS_TENSOR_H_
#define PPCLS_TENSOR_H_

#include <cstdint>
#include <string>
#include <vector>

namespace ppcls {

struct Tensor {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

// "[1, 3, 224, 224]"
inline std::string ShapeText(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t side : shape) text += (text.empty() ? "" : ", ") + std::to_string(side);
  return "[" + text + "]";
}

}  // namespace ppcls

#endif  // PPCLS_TENSOR_H_
