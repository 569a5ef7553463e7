"""Decoded pixels and the network's input: which usual fault explains that they differ?"""
