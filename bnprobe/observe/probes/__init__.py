"""Looks further than the step: line probe, curvature, and what keeps them from disturbing the training."""
