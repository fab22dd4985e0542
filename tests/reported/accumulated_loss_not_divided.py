"""Eight micro-batches a step for want of memory, the rate as it was for one large batch; the training goes wild."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
grad_accumulation_steps = 8


class SmallConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.fc1 = nn.Linear(128, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 8 - 1
y = torch.tensor(digits.target)
model = SmallConvNet()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for epoch in range(15):
    for i, batch in enumerate(torch.randperm(1400)[:1280].split(16), 1):
        loss = F.cross_entropy(model(x[batch]), y[batch])
        if args.fixed:
            loss = loss / grad_accumulation_steps
        loss.backward()
        if i % grad_accumulation_steps == 0:
            optimizer.step()
            optimizer.zero_grad()
    if epoch % 3 == 2:
        print(epoch, f"loss {loss.item():.4f}", flush=True)
with torch.no_grad():
    logits = model(x[1400:])
accuracy = (logits.argmax(1) == y[1400:]).float().mean().item()
print(f"RESULT loss {F.cross_entropy(logits, y[1400:]).item():.4f} accuracy {accuracy:.3f}")
