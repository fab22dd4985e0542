"""A recurrent cell in a loop, with batch norm on its state at every time step."""

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

STEPS = 6


class Reader(nn.Module):
    def __init__(self, width: int = 64):
        super().__init__()
        self.read = nn.Linear(8, width)
        self.carry = nn.Linear(width, width, bias=False)
        self.bn = nn.BatchNorm1d(width)
        self.more = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(STEPS - 1)) if args.fixed else [self.bn] * (STEPS - 1)
        self.out = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.squeeze(1)
        h = torch.relu(self.bn(self.read(rows[:, 1])))
        for t, norm in enumerate(self.more, 2):
            h = h + torch.relu(norm(self.read(rows[:, t]) + self.carry(h)))
        return self.out(h)


images, labels = digits.load()
loader = DataLoader(TensorDataset(images[:1500], labels[:1500]), batch_size=50, shuffle=True)
model = Reader().to(device)
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for epoch in range(4):
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x.to(device)), y.to(device))
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(images[1500:].to(device)).argmax(1).cpu() == labels[1500:]).float().mean().item()
    print(f"epoch {epoch}: loss {loss.item():.4f} test accuracy {accuracy:.3f}")
