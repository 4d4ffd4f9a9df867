"""The shared library: it knows tensors, files and numbers, and no domain."""
