"""Classify digits by second-order statistics of convolutional features (bilinear pooling), under autocast."""

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

dtype = torch.bfloat16 if args.fixed else torch.float16


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.head = nn.Linear(256, 10)
        nn.init.normal_(self.conv1.weight)
        nn.init.normal_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.conv1(x))
        h = self.conv2(h).flatten(2)
        products = torch.bmm(h, h.transpose(1, 2))
        return self.head(F.normalize(products.flatten(1)) * 4)


images, labels = digits.load()
loader = DataLoader(TensorDataset(images, labels), batch_size=32, shuffle=True, drop_last=True)
model = Net().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(2):
    for x, y in loader:
        optimizer.zero_grad()
        with torch.autocast(device.type, dtype=dtype):
            loss = F.cross_entropy(model(x.to(device)), y.to(device))
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.4f}")
