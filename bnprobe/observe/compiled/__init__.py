"""Training under torch.compile."""
