#include "config.h"

#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <stdexcept>
#include <vector>

namespace ppcls {
namespace {

constexpr int kMost = 1 << 16;

std::vector<double> Numbers(const std::string& text) {
  std::vector<double> numbers;
  std::size_t at = 0;
  do {
    const std::size_t end = text.find(',', at);
    const std::string part = text.substr(at, end == std::string::npos ? end : end - at);
    char* rest = nullptr;
    numbers.push_back(std::strtod(part.c_str(), &rest));
    if (part.empty() || *rest != '\0') throw std::invalid_argument("numbers with commas between them");
    at = end == std::string::npos ? end : end + 1;
  } while (at != std::string::npos);
  return numbers;
}

int Whole(const std::string& text, int low) {
  char* rest = nullptr;
  const long number = std::strtol(text.c_str(), &rest, 10);
  if (text.empty() || *rest != '\0' || number < low || number > kMost) {
    throw std::invalid_argument("a whole number of at least " + std::to_string(low));
  }
  return static_cast<int>(number);
}

bool Switch(const std::string& text) {
  if (text != "0" && text != "1") throw std::invalid_argument("0 or 1");
  return text == "1";
}

bool NoDrawing(const std::string& text) {
  if (text != "0") throw std::invalid_argument("0: this demo does not draw");
  return false;
}

Size WidthHeight(const std::string& text) {
  const std::size_t comma = text.find(',');
  const int width = Whole(text.substr(0, comma), 0);
  return {width, comma == std::string::npos ? width : Whole(text.substr(comma + 1), 0)};
}

std::array<double, kChannels> Three(const std::string& text) {
  const std::vector<double> numbers = Numbers(text);
  if (numbers.size() != kChannels) throw std::invalid_argument("three numbers with commas between them");
  return {numbers[0], numbers[1], numbers[2]};
}

std::array<double, kChannels> Deviation(const std::string& text) {
  const auto numbers = Three(text);
  for (const double number : numbers) {
    if (number == 0) throw std::invalid_argument("three numbers other than 0");
  }
  return numbers;
}

double Number(const std::string& text) {
  const std::vector<double> numbers = Numbers(text);
  if (numbers.size() != 1) throw std::invalid_argument("a number");
  return numbers[0];
}

bool IsBgr(const std::string& text) {
  if (text != "RGB" && text != "BGR") throw std::invalid_argument("RGB or BGR");
  return text == "BGR";
}

using Setters = std::map<std::string, std::function<void(const std::string&)>>;

Setters SettersOf(Config* config) {
  return {
      {"clas_model_file", [=](const std::string& text) { config->clas_model_file = text; }},
      {"label_path", [=](const std::string& text) { config->label_path = text; }},
      {"resize_short_size", [=](const std::string& text) { config->resize_short_size = Whole(text, 0); }},
      {"resize_size", [=](const std::string& text) { config->resize_size = WidthHeight(text); }},
      {"crop_size", [=](const std::string& text) { config->crop_size = WidthHeight(text); }},
      {"scale", [=](const std::string& text) { config->scale = Number(text); }},
      {"mean", [=](const std::string& text) { config->mean = Three(text); }},
      {"std", [=](const std::string& text) { config->deviation = Deviation(text); }},
      {"channel_order", [=](const std::string& text) { config->is_bgr = IsBgr(text); }},
      {"topk", [=](const std::string& text) { config->topk = Whole(text, 1); }},
      {"visualize", [](const std::string& text) { NoDrawing(text); }},
      {"num_threads", [=](const std::string& text) { config->num_threads = Whole(text, 1); }},
      {"batch_size", [=](const std::string& text) { config->batch_size = Whole(text, 1); }},
      {"precision", [=](const std::string& text) { config->precision = text; }},
      {"runtime_device", [=](const std::string& text) { config->runtime_device = text; }},
      {"enable_benchmark", [=](const std::string& text) { config->enable_benchmark = Switch(text); }},
      {"tipc_benchmark", [=](const std::string& text) { config->tipc_benchmark = Switch(text); }},
  };
}

}  // namespace

Config ReadConfig(const std::string& path) {
  std::ifstream stream(path);
  if (!stream) throw std::runtime_error(path + ": cannot be read");
  Config config;
  Setters missing = SettersOf(&config);
  std::string line;
  for (int number = 1; std::getline(stream, line); ++number) {
    const std::string place = path + ":" + std::to_string(number) + ": ";
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line[0] == '#') continue;
    const std::size_t blank = line.find(' ');
    const std::string key = line.substr(0, blank);
    const auto setter = missing.find(key);
    if (setter == missing.end()) throw std::runtime_error(place + "unknown key, or there twice: " + key);
    if (blank == std::string::npos) throw std::runtime_error(place + key + " has no value");
    try {
      setter->second(line.substr(blank + 1));
    } catch (const std::invalid_argument& expected) {
      throw std::runtime_error(place + key + ": expected " + expected.what() + ", found " + line.substr(blank + 1));
    }
    missing.erase(setter);
  }
  missing.erase("visualize");
  if (!missing.empty()) throw std::runtime_error(path + ": the key " + missing.begin()->first + " is missing");
  return config;
}

}  // namespace ppcls
