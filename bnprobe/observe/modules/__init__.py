"""The modules of a program: their tree, kinds and layouts."""
