#include <charconv>
#include <cmath>
#include <cstdio>

#include "postprocess.h"

namespace ppcls {
namespace {

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char letter : text) {
    switch (letter) {
      case '"':
        quoted += "\\\"";
        break;
      case '\\':
        quoted += "\\\\";
        break;
      case '\n':
        quoted += "\\n";
        break;
      case '\r':
        quoted += "\\r";
        break;
      case '\t':
        quoted += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(letter) < 0x20) {
          char escape[8];
          std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(letter));
          quoted += escape;
        } else {
          quoted += letter;
        }
    }
  }
  return quoted + "\"";
}

// The shortest text that reads back as the same number, laid out as Python's repr does.
std::string Number(double value) {
  const bool is_small = value != 0 && std::abs(value) < 1e-4;
  char text[64];
  const auto format = is_small ? std::chars_format::scientific : std::chars_format::fixed;
  const auto end = std::to_chars(text, text + sizeof text, value, format).ptr;
  const std::string number(text, end);
  return is_small || number.find('.') != std::string::npos ? number : number + ".0";
}

template <typename Values, typename Format>
std::string List(const Values& values, Format format) {
  std::string text;
  for (const auto& value : values) text += (text.empty() ? "" : ", ") + format(value);
  return "[" + text + "]";
}

}  // namespace

std::string JsonLine(const Prediction& prediction, bool is_detector, const std::string& path) {
  const Classes& classes = prediction.classes;
  const std::string names = "\"label_names\": " + List(classes.names, Quoted);
  const std::string file = "\"file_name\": " + Quoted(path);
  const auto box = [](const std::array<double, 4>& corners) { return List(corners, Number); };
  return "{\"class_ids\": " + List(classes.ids, [](int id) { return std::to_string(id); }) +
         ", \"scores\": " + List(classes.scores, Number) +
         (is_detector ? ", \"boxes\": " + List(prediction.boxes, box) + ", " + names + ", " + file
                      : ", " + file + ", " + names) +
         "}";
}

std::string JsonError(const std::string& error, const std::string& path) {
  return "{\"file_name\": " + Quoted(path) + ", \"error\": " + Quoted(error) + "}";
}

}  // namespace ppcls
