"""Callbacks for the trainers of others: each is thin, and records what ``bnprobe.record`` records."""
