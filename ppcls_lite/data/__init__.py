"""Images and labels: list files, transforms, mixing of batches, and the loader that feeds a network."""
