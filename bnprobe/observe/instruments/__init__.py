"""What is measured around a step besides the signals of layers: one quantity a file."""
