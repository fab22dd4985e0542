"""From a closed step to a row of the run file."""
