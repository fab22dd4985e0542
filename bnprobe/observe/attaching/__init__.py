"""How the recording attaches to torch, and comes off without a trace."""
