"""Paddle Serving: its model format, and what its Python pipeline needs to serve this library's models safely."""
