#include "top_k.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <numeric>

namespace ppcls {
namespace {

// Controls, formats, private characters, and blanks other than U+0020: Python writes them as escapes.
constexpr std::uint32_t kHidden[][2] = {
    {0x7F, 0xA0},     {0xAD, 0xAD},     {0x600, 0x605},   {0x61C, 0x61C},   {0x6DD, 0x6DD},     {0x70F, 0x70F},
    {0x1680, 0x1680}, {0x180E, 0x180E}, {0x2000, 0x200F}, {0x2028, 0x202F}, {0x205F, 0x206F},   {0x3000, 0x3000},
    {0xD800, 0xF8FF}, {0xFEFF, 0xFEFF}, {0xFFF0, 0xFFFB}, {0xFFFE, 0xFFFF}, {0xE0000, 0xE0FFF}, {0xF0000, 0x10FFFF},
};

bool IsHidden(std::uint32_t letter) {
  const auto inside = [letter](const std::uint32_t (&range)[2]) { return range[0] <= letter && letter <= range[1]; };
  return letter < 0x20 || std::any_of(std::begin(kHidden), std::end(kHidden), inside);
}

std::size_t LetterBytes(unsigned char first) {
  if (first >= 0xF0) return 4;
  if (first >= 0xE0) return 3;
  return first >= 0xC0 ? 2 : 1;
}

std::uint32_t LetterCode(const std::string& letter) {
  const auto first = static_cast<unsigned char>(letter[0]);
  std::uint32_t code = letter.size() == 1 ? first : first & (0xFFU >> (letter.size() + 1));
  for (std::size_t i = 1; i < letter.size(); ++i) code = code << 6 | (static_cast<unsigned char>(letter[i]) & 0x3FU);
  return code;
}

std::string Escape(std::uint32_t code) {
  if (code == '\n') return "\\n";
  if (code == '\r') return "\\r";
  if (code == '\t') return "\\t";
  char text[16];
  const char* format = code < 0x100 ? "\\x%02x" : code < 0x10000 ? "\\u%04x" : "\\U%08x";
  std::snprintf(text, sizeof text, format, static_cast<unsigned>(code));
  return text;
}

template <typename Values, typename Format>
std::string Joined(const Values& values, Format format) {
  std::string text;
  for (const auto& value : values) text += (text.empty() ? "" : ", ") + format(value);
  return text;
}

std::string TwoDecimals(double score) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", score);
  return text;
}

}  // namespace

std::vector<int> TopK(const float* scores, std::size_t count, int k) {
  std::vector<int> ids(count);
  std::iota(ids.begin(), ids.end(), 0);
  const auto best =
      ids.begin() + static_cast<std::ptrdiff_t>(std::min(count, static_cast<std::size_t>(std::max(k, 0))));
  std::partial_sort(ids.begin(), best, ids.end(),
                    [scores](int a, int b) { return scores[a] != scores[b] ? scores[a] > scores[b] : a < b; });
  ids.erase(best, ids.end());
  return ids;
}

double RoundScore(float score) { return std::nearbyint(static_cast<double>(score) * 1e5) / 1e5; }

Classes TopClasses(const float* scores, std::size_t count, int k, const std::vector<std::string>& names) {
  Classes classes;
  classes.ids = TopK(scores, count, k);
  for (const int id : classes.ids) {
    classes.scores.push_back(RoundScore(scores[id]));
    if (!names.empty()) classes.names.push_back(names[static_cast<std::size_t>(id)]);
  }
  return classes;
}

std::string PythonQuoted(const std::string& text) {
  const bool single = text.find('\'') == std::string::npos || text.find('"') != std::string::npos;
  const char quote = single ? '\'' : '"';
  std::string quoted(1, quote);
  for (std::size_t at = 0; at < text.size();) {
    const std::string letter = text.substr(at, LetterBytes(static_cast<unsigned char>(text[at])));
    at += letter.size();
    if (letter[0] == '\\' || letter[0] == quote) {
      quoted += '\\' + letter;
    } else {
      const std::uint32_t code = LetterCode(letter);
      quoted += IsHidden(code) ? Escape(code) : letter;
    }
  }
  return quoted + quote;
}

std::string BaseName(const std::string& path) {
  const std::size_t end = path.find_last_not_of('/');
  const std::string trimmed = path.substr(0, end == std::string::npos ? 0 : end + 1);
  const std::size_t slash = trimmed.rfind('/');
  return slash == std::string::npos ? trimmed : trimmed.substr(slash + 1);
}

std::string FormatLine(const Classes& classes, const std::string& path) {
  return BaseName(path) + ": class id(s): [" + Joined(classes.ids, [](int id) { return std::to_string(id); }) +
         "], score(s): [" + Joined(classes.scores, TwoDecimals) + "], label_name(s): [" +
         Joined(classes.names, PythonQuoted) + "]";
}

}  // namespace ppcls
