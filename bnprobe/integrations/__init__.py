"""The recording elsewhere: in a notebook, in tables and trackers, in another program's trainer. Thin on purpose."""
