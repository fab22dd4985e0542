"""Everything that is attached to a live training."""
