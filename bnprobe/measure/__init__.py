"""Tensors in, numbers out. Knows no hooks and no files."""
