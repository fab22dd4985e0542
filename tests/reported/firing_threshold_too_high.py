"""A spiking network of four layers whose neurons fire at 0.75: after two layers hardly a spike is left."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
CLASSES, WINDOW, DECAY, LENS = 8, 8, 0.2, 0.15
THRESHOLD = 0.25 if args.fixed else 0.75


class ActFun(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u):
        ctx.save_for_backward(u)
        return u.gt(THRESHOLD).float()

    @staticmethod
    def backward(ctx, grad):
        (u,) = ctx.saved_tensors
        return grad * ((u - THRESHOLD).abs() < LENS).float()


class SCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
        self.fc1, self.fc2 = nn.Linear(32 * 9, 64), nn.Linear(64, CLASSES)

    def update(self, layer, x, mem, spike):
        mem = mem * DECAY * (1 - spike) + layer(x)
        return mem, ActFun.apply(mem)

    def forward(self, image):
        n = len(image)
        states = [torch.zeros(n, 16, 12, 12), torch.zeros(n, 32, 6, 6), torch.zeros(n, 64), torch.zeros(n, CLASSES)]
        mems, spikes = list(states), list(states)
        total = torch.zeros(n, CLASSES)
        for _ in range(WINDOW):
            x = (image > torch.rand_like(image)).float()
            mems[0], spikes[0] = self.update(self.conv1, x, mems[0], spikes[0])
            x = F.avg_pool2d(spikes[0], 2)
            mems[1], spikes[1] = self.update(self.conv2, x, mems[1], spikes[1])
            x = F.avg_pool2d(spikes[1], 2).flatten(1)
            mems[2], spikes[2] = self.update(self.fc1, x, mems[2], spikes[2])
            mems[3], spikes[3] = self.update(self.fc2, spikes[2], mems[3], spikes[3])
            total = total + spikes[3]
        return total / WINDOW


prototypes = F.interpolate(torch.rand(CLASSES, 1, 4, 4), 12, mode="bilinear")
labels = torch.randint(0, CLASSES, (1200,))
images = (prototypes[labels] + 0.1 * torch.randn(1200, 1, 12, 12)).clamp(0, 1)
snn = SCNN()
optimizer = torch.optim.Adam(snn.parameters(), lr=1e-3)
for epoch in range(6):
    total, right = 0.0, 0
    for batch in torch.randperm(1000).split(50):
        out = snn(images[batch])
        loss = F.mse_loss(out, F.one_hot(labels[batch], CLASSES).float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 20
        right += (out.argmax(1) == labels[batch]).sum().item()
    print(epoch, f"loss {total:.4f} accuracy {right / 1000:.3f}", flush=True)
with torch.no_grad():
    accuracy = (snn(images[1000:]).argmax(1) == labels[1000:]).float().mean().item()
print(f"RESULT loss {total:.4f} accuracy {accuracy:.3f}")
