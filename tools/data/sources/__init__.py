"""Helpers for the scripts that make data sets."""
