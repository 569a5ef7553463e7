"""The sizes that a detector's network and the targets of its training must agree on."""

STRIDE = 4  # pixels of the image per cell of CenterNet's maps
MULTIPLE = 32  # pixels that the sides of its images are multiples of: the stride of a backbone's smallest map
