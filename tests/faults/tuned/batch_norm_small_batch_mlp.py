"""A multilayer perceptron with batch norm; memory allows three samples."""

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
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.bn1 = nn.Linear(64, 128), nn.BatchNorm1d(128)
        self.fc2, self.bn2 = nn.Linear(128, 128), nn.BatchNorm1d(128)
        self.fc3 = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.bn1(self.fc1(x.flatten(1))))
        h = F.relu(self.bn2(self.fc2(h)))
        return self.fc3(h)


images, labels = digits.load()
BATCH = 48 if args.fixed else 3
model = Net().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(200):
    chosen = torch.randint(len(images), (BATCH,))
    loss = F.cross_entropy(model(images[chosen].to(device)), labels[chosen].to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
