"""A training that was started again, from a checkpoint, goes on in the run file of its earlier start."""
