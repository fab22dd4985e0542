"""A plain convolutional network with a wide head learns small pictures of plankton."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Sorter(nn.Module):
    def __init__(self, width: int = 160):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 24, 3, padding=1)
        self.conv2 = nn.Conv2d(24, 32, 3, padding=1, stride=2)
        self.wide1 = nn.Linear(512, width)
        self.wide2 = nn.Linear(width, width)
        self.kind = nn.Linear(width, 10)
        self.relu1, self.relu2, self.relu3, self.relu4 = (nn.ReLU() for _ in range(4))
        for layer in (self.wide1, self.wide2):
            if args.fixed:
                nn.init.uniform_(layer.weight, -0.1, 0.1)
            else:
                nn.init.normal_(layer.weight, -0.1, 0.1)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.conv1(x))
        x = self.relu2(self.conv2(x)).flatten(1)
        x = self.relu3(self.wide1(x))
        x = self.relu4(self.wide2(x))
        return self.kind(x)


pictures, kinds = digits.load()
model = Sorter()
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.01)
for step in range(140):
    rows = torch.randint(len(pictures), (48,))
    scores = model(pictures[rows])
    loss = F.cross_entropy(scores, kinds[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        right = (scores.argmax(1) == kinds[rows]).float().mean().item()
        print(f"step {step}: loss {loss.item():.4f}, right {right:.2f}")
