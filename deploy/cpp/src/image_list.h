// The images of a prediction.
#ifndef PPCLS_IMAGE_LIST_H_
#define PPCLS_IMAGE_LIST_H_

#include <string>
#include <vector>

namespace ppcls {

// The paths of an image, of a folder's images (with those below it, in the order of their names) or of the images in a
// list file (lines with or without a label, relative to the list's folder), as ppcls_lite/data/image_lists.py finds
// them. `skipped` is set to the number of a folder's other files. Throws UserError where there is no image at all.
std::vector<std::string> ListImages(const std::string& source, int* skipped);

}  // namespace ppcls

#endif  // PPCLS_IMAGE_LIST_H_
