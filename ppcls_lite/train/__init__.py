"""Training and evaluation: loss, metric, optimizer, checkpoints and the loop."""
