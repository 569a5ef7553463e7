"""On-device deployment with Paddle Lite: what lite_*.py share. Standard library and NumPy, on the two interpreters."""
