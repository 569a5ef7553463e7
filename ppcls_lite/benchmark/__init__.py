"""Latency after the documents' protocol: each row in a process of its own, engines taking turns."""
