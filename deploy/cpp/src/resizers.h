// ResizeImage with the interpolations and back ends that a config can name.
#ifndef PPCLS_RESIZERS_H_
#define PPCLS_RESIZERS_H_

#include <functional>

#include "image.h"
#include "resize.h"
#include "yaml_section.h"

namespace ppcls {

using Resize = std::function<Image(const Image&)>;

// Reads all options of ResizeImage. Throws UserError for one that cannot be done bit for bit as Python does it.
Resize ReadResize(YamlSection* options);

}  // namespace ppcls

#endif  // PPCLS_RESIZERS_H_
