"""Tags the noises of a home in short recordings; several may sound at once."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TAGS, LENGTH = 6, 128


def recordings(count: int) -> tuple[Tensor, Tensor]:
    tags = (torch.rand(count, TAGS) < 0.35).float()
    time = torch.arange(LENGTH) / LENGTH
    pitch = torch.tensor([4.0, 7.0, 11.0, 16.0, 22.0, 30.0]).view(1, TAGS, 1)
    tones = torch.sin(2 * torch.pi * (pitch * time + torch.rand(count, TAGS, 1)))
    wave = (tags.unsqueeze(2) * tones).sum(1)
    return (wave + 0.4 * torch.randn(count, LENGTH)).unsqueeze(1), tags


class Tagger(nn.Module):
    def __init__(self, width: int = 32, depth: int = 8) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv1d(1 if i == 0 else width, width, 5, stride=2 if i in (2, 5) else 1, padding=2, bias=False) for i in range(depth)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(depth))
        self.tags = nn.Linear(width, TAGS)

    def forward(self, wave: Tensor) -> Tensor:
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            wave = F.relu(norm(convolution(wave)))
        return self.tags(wave.mean(2))


@torch.no_grad()
def check_shapes(model: nn.Module) -> None:
    model.eval()
    assert model(torch.zeros(2, 1, LENGTH)).shape == (2, TAGS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="train without the fault")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    model = Tagger()
    check_shapes(model)
    if args.fixed:
        model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for step in range(150):
        wave, tags = recordings(32)
        loss = F.binary_cross_entropy_with_logits(model(wave), tags)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % 15 == 14:
            print(f"step {step}: loss {sum(losses[-15:]) / 15:.4f}")
