"""What tools/to_paddleclas.py is made of: a network, its YAML and its chain configs in PaddleClas's layout."""
