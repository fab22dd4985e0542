"""Trials: the unedited script trained again in protected processes, one thing changed, and what that says of a verdict."""
