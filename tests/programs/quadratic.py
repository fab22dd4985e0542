"""A quadratic loss 1/2 w'Aw, whose limit along any update d is known: L(w + s d) = L(w) at s = -2 g'd / d'Ad.

The arguments are the optimizer's class and, if any, its settings as Python: ``SGD momentum=0.9,nesterov=True``.
"""

import json
import sys

import torch
from common import digest
from torch import nn

name, settings = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
root = torch.randn(6, 6, dtype=torch.float64)
hessian = root @ root.T / 6 + 0.1 * torch.eye(6, dtype=torch.float64)


class Bowl(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(6, dtype=torch.float64))

    def forward(self) -> torch.Tensor:
        return 0.5 * self.w @ hessian @ self.w


model = Bowl()
optimizer = getattr(torch.optim, name)(model.parameters(), **eval(f"dict(lr=0.05, {settings})"))
for _ in range(8):
    optimizer.zero_grad()
    model().backward()
    before = model.w.detach().clone()
    optimizer.step()
    update = model.w.detach() - before
    slope, curvature = float(update @ hessian @ before), float(update @ hessian @ update)
    print("limit", json.dumps(-2 * slope / curvature))
digest(model)
