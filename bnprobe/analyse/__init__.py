"""Quantities of a recorded run: arrays in, arrays out. Each formula of the documentation stands here once.

Every function takes a `Run` and gives arrays on its axes (S steps, L layers, P parameters) or a small frozen dataclass. What
was not observed is NaN and stays NaN; a run without steps gives arrays without rows. Nothing here knows thresholds: those
belong to `bnprobe.diagnose`.
"""
