"""Which technique serves a training best: each at its own best learning rate, at several seeds."""
