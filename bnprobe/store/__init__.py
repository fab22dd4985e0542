"""The run file: one self-describing HDF5 file per run and rank."""
