#include "errors.h"

#include <algorithm>
#include <cctype>
#include <numeric>

namespace ppcls {
namespace {

// Insertions, deletions and replacements from `a` to `b`, upper and lower case alike.
std::size_t Distance(const std::string& a, const std::string& b) {
  const auto lower = [](char letter) { return std::tolower(static_cast<unsigned char>(letter)); };
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

}  // namespace

std::string Nearest(const std::string& word, const std::vector<std::string>& known) {
  const std::string* best = nullptr;
  std::size_t least = word.size() / 3 + 1;
  for (const std::string& candidate : known) {
    const std::size_t distance = Distance(word, candidate);
    if (distance <= least && (best == nullptr || distance < least)) {
      best = &candidate;
      least = distance;
    }
  }
  return best == nullptr ? "" : " (did you mean '" + *best + "'?)";
}

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string FirstLine(const std::string& message) {
  const std::size_t begin = message.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return "";
  return message.substr(begin, std::min<std::size_t>(message.find_first_of("\r\n", begin) - begin, 200));
}

}  // namespace ppcls
