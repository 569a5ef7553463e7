"""What predict and infer print of the same images."""
