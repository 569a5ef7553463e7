"""Helpers that import nothing else of the library: config, errors, logging, checks, safe files."""
