"""Digits through a narrow code with one matrix for both ways; errors are summed over pixels and pictures."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class BothWays(nn.Module):
    def __init__(self, inputs: int = 64, code: int = 16) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(inputs, code) / inputs**0.5)
        self.code_offset = nn.Parameter(torch.zeros(code))
        self.picture_offset = nn.Parameter(torch.zeros(inputs))

    def forward(self, x: Tensor) -> Tensor:
        code = F.leaky_relu(x @ self.matrix + self.code_offset, 0.3)
        return code @ self.matrix.T + self.picture_offset


images, _ = digits.load()
pictures = images.flatten(1)
model, criterion = BothWays(), nn.MSELoss(reduction="sum")
optimizer = torch.optim.SGD(model.parameters(), lr=2e-5, momentum=0.9)
for step in range(250):
    batch = pictures[torch.randint(len(pictures), (128,))]
    loss = criterion(model(batch), batch)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24 or step == 0:
        print(f"step {step + 1}: loss {loss.item():.1f} of {batch.square().sum().item():.1f}")
