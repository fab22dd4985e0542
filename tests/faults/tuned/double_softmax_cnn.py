"""A convolutional network whose forward returns probabilities."""

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


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.fc1 = nn.Linear(128, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        x = self.fc2(x)
        return x if args.fixed else F.softmax(x, dim=1)


images, labels = digits.load()
loader = DataLoader(TensorDataset(images, labels), batch_size=64, shuffle=True, drop_last=True)
model = Net().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(5):
    correct = 0
    for x, y in loader:
        optimizer.zero_grad()
        output = model(x.to(device))
        loss = F.cross_entropy(output, y.to(device))
        loss.backward()
        optimizer.step()
        correct += (output.argmax(1) == y).sum().item()
    print(f"epoch {epoch}: loss {loss.item():.4f} accuracy {correct / len(images):.3f}")
