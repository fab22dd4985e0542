"""Role of every member of a large circle of friends: two graph convolutions and an update written by hand."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

NODES, ROLES, STEPS = 300, 5, 150
role = torch.randint(ROLES, (NODES,))
near = (torch.rand(NODES, NODES) < torch.where(role[:, None] == role, 0.10, 0.02)).float().triu(1)
near = near + near.T + torch.eye(NODES)
near = (near / near.sum(1, keepdim=True)).to(device)
facts = (torch.randn(NODES, 16) + 0.8 * torch.randn(ROLES, 16)[role]).to(device)
role = role.to(device)


class Circle(nn.Module):
    def __init__(self, width: int = 48):
        super().__init__()
        self.own, self.friends = nn.Linear(16, width), nn.Linear(16, width)
        self.second = nn.Linear(width, width)
        self.role = nn.Linear(width, ROLES)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.own(x) + self.friends(near @ x))
        h = F.relu(self.second(near @ h))
        return self.role(h)


class Momentum(torch.optim.Optimizer):
    """Descent with momentum, and decay of the weights apart from the gradient."""

    def __init__(self, params, lr: float, beta: float = 0.9, decay: float = 0.04):
        super().__init__(params, {"lr": lr, "beta": beta, "decay": decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                speed = self.state[p].setdefault("speed", torch.zeros_like(p))
                speed.mul_(group["beta"]).add_(p.grad)
                p.mul_(1 - (group["lr"] * group["decay"] if args.fixed else group["decay"]))
                p.sub_(speed, alpha=group["lr"])


model = Circle().to(device)
optimizer = Momentum(model.parameters(), lr=0.03)
for step in range(STEPS):
    loss = F.cross_entropy(model(facts), role)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step + 1}: loss {loss.item():.4f}")
