#include "image_list.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>

#include "decode.h"
#include "errors.h"

namespace ppcls {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string>& Suffixes() {
  static const std::vector<std::string> suffixes = {".jpg", ".jpeg", ".png", ".bmp", ".webp",
                                                    ".tif", ".tiff", ".ppm", ".pgm"};
  return suffixes;
}

bool IsImageName(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return std::any_of(Suffixes().begin(), Suffixes().end(), [&](const std::string& suffix) {
    return name.size() >= suffix.size() && name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0;
  });
}

std::vector<std::string> ImagesOfFolder(const std::string& folder, int* skipped) {
  std::vector<std::string> images;
  std::size_t files = 0;
  std::error_code error;
  const auto options = fs::directory_options::follow_directory_symlink | fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator entry(folder, options, error), end; entry != end; entry.increment(error)) {
    if (entry.depth() > 64) throw UserError(folder + ": folders within folders without end: does a link lead back?");
    if (entry->is_directory(error)) continue;
    ++files;
    if (IsImageName(entry->path().string())) images.push_back(entry->path().string());
  }
  if (images.empty()) {
    throw UserError(folder + ": no image among " + std::to_string(files) +
                    " files; known endings: " + Joined(Suffixes()));
  }
  std::sort(images.begin(), images.end());
  *skipped = static_cast<int>(files - images.size());
  return images;
}

std::string Stripped(const std::string& line) {
  const char* blanks = " \t\r\n\v\f";
  const std::size_t begin = line.find_first_not_of(blanks);
  return begin == std::string::npos ? "" : line.substr(begin, line.find_last_not_of(blanks) - begin + 1);
}

// "name 3" -> "name"; empty for a line that does not end with a label.
std::string WithoutLabel(const std::string& line) {
  const std::size_t blank = line.find_last_of(" \t");
  if (blank == std::string::npos) return "";
  const std::string label = line.substr(blank + 1);
  const bool digits =
      std::all_of(label.begin(), label.end(), [](unsigned char letter) { return std::isdigit(letter); });
  return digits ? Stripped(line.substr(0, blank)) : "";
}

std::vector<std::string> ImagesOfList(const std::string& path) {
  std::ifstream stream(path);
  if (!stream) throw UserError(path + ": cannot read the list file");
  const fs::path root = fs::path(path).parent_path();
  std::vector<std::string> images;
  std::string line;
  for (int number = 1; std::getline(stream, line); ++number) {
    if (number == 1 && line.rfind("\xEF\xBB\xBF", 0) == 0) line.erase(0, 3);  // a byte-order mark
    if (line.find('\0') != std::string::npos) throw UserError(path + ": expected an image, a folder or a list file");
    line = Stripped(line);
    if (line.empty()) continue;
    std::error_code ignored;
    fs::path image = root / line;
    const std::string name = WithoutLabel(line);
    if (!fs::exists(image, ignored) && !name.empty()) image = root / name;
    if (!fs::exists(image, ignored)) {
      throw UserError(path + ":" + std::to_string(number) + ": no such image: " + image.string().substr(0, 300));
    }
    images.push_back(image.string());
  }
  if (images.empty()) throw UserError(path + ": the list file is empty");
  return images;
}

}  // namespace

std::vector<std::string> ListImages(const std::string& source, int* skipped) {
  *skipped = 0;
  std::error_code ignored;
  if (!fs::exists(source, ignored)) throw UserError(source + ": no such image, folder or list file");
  if (fs::is_directory(source, ignored)) return ImagesOfFolder(source, skipped);
  if (IsImageName(source) || IsImageFile(source)) return {source};
  return ImagesOfList(source);
}

}  // namespace ppcls
