"""Where a layer, a channel, a parameter stands in the run file, and what it is called there."""
