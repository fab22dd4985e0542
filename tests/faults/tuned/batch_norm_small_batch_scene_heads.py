"""Large pictures, four at a time: a convolutional trunk with two heads, one for the class and one for the brightness."""

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
BATCH = 32 if args.fixed else 2


class Head(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(inputs, 48)
        self.norm = nn.BatchNorm1d(48)
        self.out = nn.Linear(48, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.relu(self.norm(self.hidden(x))))


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1),
            nn.GroupNorm(4, 16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.kind = Head(128, 10)
        self.light = Head(128, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.trunk(x)
        return self.kind(h), self.light(h).squeeze(-1)


images, labels = digits.load()
light = images.mean(dim=(1, 2, 3))
light = (light - light.mean()) / light.std()
model = TwoHeads()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
recent: list[float] = []
for step in range(260):
    index = torch.randint(len(images), (BATCH,))
    x = images[index]
    kind, shade = model(x)
    loss = F.cross_entropy(kind, labels[index]) + F.mse_loss(shade, light[index])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    recent.append(loss.item())
    if step % 65 == 64:
        print(f"step {step}: mean loss {sum(recent) / len(recent):.3f}")
        recent.clear()
