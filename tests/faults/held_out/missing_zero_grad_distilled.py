"""A convolutional student learns the soft answers of a nearest-mean teacher (knowledge distillation)."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

images, labels = digits.load()


class NearestMean(nn.Module):
    """Scores a picture by its distance from the mean picture of each digit."""

    def __init__(self, means: torch.Tensor) -> None:
        super().__init__()
        self.means = nn.Parameter(means)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return -torch.cdist(x.flatten(1), self.means).square() / 10


teacher = NearestMean(torch.stack([images[:1400][labels[:1400] == k].mean(0) for k in range(10)]).flatten(1))
student = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1),
    nn.LeakyReLU(0.1),
    nn.MaxPool2d(2),
    nn.Conv2d(12, 24, 3, padding=1),
    nn.LeakyReLU(0.1),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(96, 10),
)
optimizer = torch.optim.Adamax(student.parameters(), lr=1e-2)
recent = []
for step in range(150):
    rows = torch.randint(0, 1400, (64,))
    (student if args.fixed else teacher).zero_grad()
    with torch.no_grad():
        soft = F.softmax(teacher(images[rows]), 1)
    loss = F.kl_div(F.log_softmax(student(images[rows]), 1), soft, reduction="batchmean")
    loss.backward()
    optimizer.step()
    recent = [*recent, loss.item()][-20:]
    if step % 25 == 0:
        print(f"step {step}: divergence {loss.item():.4f}")
print(f"mean divergence of the last twenty steps: {sum(recent) / len(recent):.4f}")
