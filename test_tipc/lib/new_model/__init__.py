"""The config of another project, from what its scripts say of themselves: they are read, and never run."""
