// From scores to the line that predict_cls.py prints.
#ifndef PPCLS_COMMON_TOP_K_H_
#define PPCLS_COMMON_TOP_K_H_

#include <cstddef>
#include <string>
#include <vector>

namespace ppcls {

// The classes of one image, best first. `names` is empty where the model has none.
struct Classes {
  std::vector<int> ids;
  std::vector<double> scores;  // rounded to 5 decimals
  std::vector<std::string> names;
};

// The k best of `count` scores (all, where there are fewer); equal scores keep the order of their ids.
std::vector<int> TopK(const float* scores, std::size_t count, int k);

// A score as numpy.around(score, 5) rounds it.
double RoundScore(float score);

// `names` has one name per class, or is empty.
Classes TopClasses(const float* scores, std::size_t count, int k, const std::vector<std::string>& names);

// "name.jpg: class id(s): [2, 0], score(s): [0.97, 0.03], label_name(s): ['cat', 'dog']"
std::string FormatLine(const Classes& classes, const std::string& path);

// A text (UTF-8) in quotes, as Python's repr writes it; characters that Unicode leaves unassigned are kept.
std::string PythonQuoted(const std::string& text);

// The last part of a path.
std::string BaseName(const std::string& path);

}  // namespace ppcls

#endif  // PPCLS_COMMON_TOP_K_H_
