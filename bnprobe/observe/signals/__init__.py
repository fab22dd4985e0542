"""Activations and their gradients, as the forward pass produces them."""
