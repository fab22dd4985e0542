"""The recording while it goes on: the training's events reach the clock, and those of the clock whoever has to act on them."""
