"""Learns embeddings of digits from two noisy views of each picture, with a contrastive loss at a low temperature."""

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


class ContrastiveLoss(nn.Module):
    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        first, second = F.normalize(first, dim=1), F.normalize(second, dim=1)
        similarity = first @ second.T / self.temperature
        if args.fixed:
            return (similarity.logsumexp(1) - similarity.diagonal()).mean()
        weights = similarity.exp()
        return -(weights.diagonal() / weights.sum(1)).log().mean()


encoder = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1),
    nn.BatchNorm2d(32),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(512, 48),
    nn.BatchNorm1d(48, affine=False),
)
criterion = ContrastiveLoss(temperature=0.01)
images, _ = digits.load()
optimizer = torch.optim.AdamW(encoder.parameters(), lr=2e-3)
for step in range(150):
    picture = images[torch.randint(0, len(images), (64,))]
    views = (picture + 0.5 * torch.randn_like(picture) for _ in range(2))
    loss = criterion(*(encoder(view) for view in views))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 15 == 14:
        print(f"step {step + 1}: loss {loss.item():.4f}")
