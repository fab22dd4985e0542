"""One training, with one thing about it that a diagnosis will ask for; the argument names it. It says what it knows of it itself."""

import json
import sys

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch import nn
from torch.nn import functional as F

kind = sys.argv[1]


class Repeating(nn.Module):
    """Two calls of one batch norm in one forward."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.head = nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.norm(torch.tanh(self.norm(self.first(x))) + 2)))


def say_gap(module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
    """Say how far evaluation mode is from what training mode has just made of a batch, in float64."""
    if isinstance(module, nn.BatchNorm1d):
        x = inputs[0].detach().double()
        evaluated = F.batch_norm(x, module.running_mean.double(), module.running_var.double(), eps=module.eps)
        trained = F.batch_norm(x, None, None, training=True, eps=module.eps)
        print("gap" if module.training else "evaluation_gap", json.dumps(float((evaluated - trained).square().mean().sqrt())))


networks = {
    "batch_norm": lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.1), nn.Linear(8, 3)),
    "evaluating": lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.1), nn.Linear(8, 3)).eval(),
    "repeated": Repeating,
    "validated": lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.1), nn.Linear(8, 3)),
    "squashed": lambda: nn.Sequential(*small_network(), nn.Softmax(1)),
}
model = networks.get(kind, small_network)()
for part in model.modules():
    if isinstance(part, nn.BatchNorm1d):
        part.register_forward_hook(say_gap)
if kind == "equal_rows":
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.1)
if kind == "frozen":
    model[0].requires_grad_(False)
trained = model[2].parameters() if kind == "forgotten" else model.parameters()
optimizer = torch.optim.SGD(trained, lr=0.1)
for x, y in batches(6):
    if kind != "no_zero_grad":
        optimizer.zero_grad(set_to_none=kind != "zeroed")
    losses = []
    for _ in range(2 if kind == "accumulating" else 1):
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        losses.append(loss)
    say_loss(*losses)
    if kind != "forgotten":
        say_norms(model)
    optimizer.step()
if kind == "validated":
    model.eval()
    with torch.no_grad():
        for x, _ in batches(2):
            model(2 * x + 1)
digest(model)
