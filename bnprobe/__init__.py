"""bnprobe: a flight recorder for neural-network training.

A script is launched, its training observed, tensors measured into numbers, numbers stored in one HDF5 file; a stored run
is analysed into quantities, diagnosed into findings, and reported to a person.
"""

__version__ = "0.1.0"
