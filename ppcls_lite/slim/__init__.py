"""Smaller networks: INT8 after training, training for INT8 (PACT), and filters pruned (FPGM)."""
