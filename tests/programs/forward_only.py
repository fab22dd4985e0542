"""Trained by forwards alone, as the argument says: by forward gradients or a random search, with an optimizer; or by hand."""

import sys

import torch
import torch.autograd.forward_ad as forward_ad
from common import batches, digest, say_norms, small_network
from torch.func import functional_call
from torch.nn import functional as F


def forward_gradient(x, y):
    """Along one random direction, by forward-mode differentiation."""
    along = {name: torch.randn_like(parameter) for name, parameter in model.named_parameters()}
    with torch.no_grad(), forward_ad.dual_level():
        duals = {name: forward_ad.make_dual(one.detach(), along[name]) for name, one in model.named_parameters()}
        slope = forward_ad.unpack_dual(F.cross_entropy(functional_call(model, duals, (x,)), y)).tangent
    return {name: slope * one for name, one in along.items()}


@torch.no_grad()
def search_gradient(x, y):
    """Along one random direction, by the difference of two losses."""
    along = {name: 1e-2 * torch.randn_like(parameter) for name, parameter in model.named_parameters()}
    losses = []
    for sign in (1, -2, 1):
        losses.append(F.cross_entropy(model(x), y))
        for name, parameter in model.named_parameters():
            parameter.data.add_(along[name], alpha=sign)
    return {name: (losses[1] - losses[2]) * one / 2e-4 for name, one in along.items()}


model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for x, y in batches(4):
    gradients = forward_gradient(x, y) if sys.argv[1] == "duals" else search_gradient(x, y)
    for name, parameter in model.named_parameters():
        if sys.argv[1] == "hand":
            parameter.data.sub_(0.01 * gradients[name])
        else:
            parameter.grad = gradients[name]
    if sys.argv[1] != "hand":
        say_norms(model)
        optimizer.step()
digest(model)
