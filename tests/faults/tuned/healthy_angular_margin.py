"""Learns digit embeddings with an additive angular margin and logits scaled by 40."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class AngularMargin(nn.Module):
    def __init__(self, width: int, classes: int, scale: float = 40.0, margin: float = 0.35) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(classes, width))
        self.scale, self.margin = scale, margin

    def forward(self, code: Tensor, label: Tensor | None = None) -> Tensor:
        cosine = F.normalize(code, dim=1) @ F.normalize(self.centres, dim=1).T
        if label is None:
            return self.scale * cosine
        angle = torch.acos(cosine.clamp(-0.999, 0.999))
        return self.scale * torch.cos(angle + self.margin * F.one_hot(label, len(self.centres)))


class FaceLike(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 24, 3, padding=1), nn.BatchNorm2d(24), nn.PReLU(24),
            nn.Conv2d(24, 48, 3, stride=2, padding=1), nn.BatchNorm2d(48), nn.PReLU(48),
            nn.Flatten(), nn.Linear(48 * 16, 32), nn.BatchNorm1d(32),
        )  # fmt: skip
        self.head = AngularMargin(32, 10)

    def forward(self, picture: Tensor, label: Tensor | None = None) -> Tensor:
        return self.head(self.body(picture), label)


images, labels = digits.load()
model = FaceLike()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4)
for step in range(200):
    chosen = torch.randint(0, 1400, (64,))
    loss = F.cross_entropy(model(images[chosen], labels[chosen]), labels[chosen])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1}: loss {loss.item():.4f}")
model.eval()
with torch.no_grad():
    print(f"accuracy on new digits {(model(images[1400:]).argmax(1) == labels[1400:]).float().mean().item():.3f}")
