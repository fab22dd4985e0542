"""A very deep multilayer perceptron with batch norm after every layer."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Layer(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.linear = nn.Linear(width, width, bias=False)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.norm(self.linear(x)))
        return x + 0.2 * h if args.fixed else h


images, labels = digits.load()
loader = DataLoader(TensorDataset(images.flatten(1), labels), batch_size=64, shuffle=True, drop_last=True)
model = nn.Sequential(nn.Linear(64, 96), *[Layer(96) for _ in range(40)], nn.Linear(96, 10)).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

step = 0
for _epoch in range(3):
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x.to(device)), y.to(device))
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print(f"step {step}: loss {loss.item():.4f}")
        step += 1
