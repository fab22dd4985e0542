"""Learns the ore content of a field from drill holes: 200 bumps, each of which answers to its own neighbourhood only."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Bumps(nn.Module):
    """max(0, 1 - (distance / reach)^2) to each of the centres."""

    def __init__(self, centres: Tensor, reach: float) -> None:
        super().__init__()
        self.centres = nn.Parameter(centres)
        self.log_reach = nn.Parameter(torch.full((len(centres),), reach).log())
        self.rectify = nn.ReLU()

    def forward(self, place: Tensor) -> Tensor:
        square = (place.unsqueeze(1) - self.centres).pow(2).sum(2)
        return self.rectify(1 - square / (2 * self.log_reach).exp())


class OreMap(nn.Module):
    def __init__(self, centres: Tensor) -> None:
        super().__init__()
        self.bumps = Bumps(centres, reach=0.3)
        self.ore = nn.Linear(len(centres), 1)

    def forward(self, place: Tensor) -> Tensor:
        return self.ore(self.bumps(place)).squeeze(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="the same: nothing is wrong here")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    place = 2 * torch.rand(3000, 2) - 1
    ore = torch.sin(4 * place[:, 0]) * torch.cos(3 * place[:, 1]) + (place[:, 0] - place[:, 1]).abs()
    ore = (ore - ore.mean()) / ore.std() + 0.05 * torch.randn(3000)
    model = OreMap(place[torch.randperm(3000)[:200]].clone())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for epoch in range(4):
        losses = []
        for batch in torch.randperm(3000).split(50):
            loss = F.mse_loss(model(place[batch]), ore[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch}: loss {sum(losses) / len(losses):.4f}")
