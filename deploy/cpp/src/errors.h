// Faults that the user can mend.
#ifndef PPCLS_ERRORS_H_
#define PPCLS_ERRORS_H_

#include <stdexcept>
#include <string>
#include <vector>

namespace ppcls {

constexpr int kNotInEffect = 77;  // exit code: what was requested would not be in effect

// The message is one line: where, what was found, what was expected.
class UserError : public std::runtime_error {
 public:
  explicit UserError(const std::string& message, int status = 1) : std::runtime_error(message), status_(status) {}
  int status() const { return status_; }

 private:
  int status_;
};

// " (did you mean 'x'?)" for the known word that is nearest, or an empty text.
std::string Nearest(const std::string& word, const std::vector<std::string>& known);

std::string Joined(const std::vector<std::string>& words);

// The first line of a library's message, at most 200 bytes of it.
std::string FirstLine(const std::string& message);

}  // namespace ppcls

#endif  // PPCLS_ERRORS_H_
