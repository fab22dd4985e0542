"""A highway network that has to tell how many bits of two bytes agree."""

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

BITS, WIDTH = 6, 64


class Highway(nn.Module):
    def __init__(self):
        super().__init__()
        self.change = nn.Linear(WIDTH, WIDTH)
        self.gate = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Sigmoid())
        nn.init.constant_(self.gate[0].bias, -1.0 if args.fixed else -12.0)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.gate(x)
        return gate * F.relu(self.change(x)) + (1 - gate) * x


class Agreement(nn.Module):
    def __init__(self, depth: int = 3):
        super().__init__()
        self.enter = nn.Linear(2 * BITS, WIDTH)
        self.highways = nn.Sequential(*(Highway() for _ in range(depth)))
        self.leave = nn.Linear(WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.leave(self.highways(self.enter(x))).squeeze(1)


model = Agreement().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(250):
    bits = torch.randint(2, (64, 2 * BITS)) * 2.0 - 1
    agree = (bits[:, :BITS] == bits[:, BITS:]).float().sum(1)
    loss = F.mse_loss(model(bits.to(device)), agree.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0 or step == 249:
        print(f"step {step}: loss {loss.item():.4f}")
