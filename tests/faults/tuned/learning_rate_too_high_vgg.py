"""A plain convolutional network with momentum and a warm-up."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def block(inputs, outputs):
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]


images, labels = digits.load(side=16)
loader = DataLoader(TensorDataset(images, labels), batch_size=64, shuffle=True, drop_last=True)
model = nn.Sequential(*block(1, 16), *block(16, 32), nn.Flatten(), nn.Linear(32 * 16, 64), nn.ReLU(), nn.Linear(64, 10)).to(device)
for module in model.modules():
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
peak = 0.03 if args.fixed else 1.0
optimizer = torch.optim.SGD(model.parameters(), lr=peak, momentum=0.9)
warmup = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.01, total_iters=30)

step = 0
for _epoch in range(4):
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x.to(device)), y.to(device))
        loss.backward()
        optimizer.step()
        warmup.step()
        if step % 10 == 0:
            print(f"step {step} lr {warmup.get_last_lr()[0]:.4f} loss {loss.item():.4f}")
        step += 1
