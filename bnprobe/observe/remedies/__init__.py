"""Remedies in an unedited script, and which could act on it."""
