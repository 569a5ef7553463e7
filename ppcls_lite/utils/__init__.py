"""Helpers that know nothing of the rest of the library: config, errors, logging, safe files."""
