"""The exported parameters against the checkpoint, by name and by value."""
