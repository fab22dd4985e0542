"""Survival analysis: the hazard of patients from their laboratory values, hospital after hospital."""

import argparse

import torch
from torch import Tensor, nn

VALUES, HOSPITALS, PATIENTS = 10, 160, 48


def hospital(weights: Tensor, in_months: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Laboratory values, years until death or the end of the study, and whether death was seen."""
    values = torch.randn(PATIENTS, VALUES)
    log_hazard = values @ weights + 0.5 * (values[:, 0] * values[:, 1]).clamp(-2, 2)
    years = -torch.log(torch.rand(PATIENTS).clamp_min(1e-4)) / log_hazard.exp()
    end = 3 * torch.rand(PATIENTS)
    died = (years < end).float()
    years = torch.minimum(years, end)
    return values, years * 12 if in_months else years, died


class Hazard(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(VALUES, 48)
        self.second = nn.Linear(48, 32)
        self.log_hazard = nn.Linear(32, 1)
        self.act = nn.ELU()

    def forward(self, values: Tensor) -> Tensor:
        return self.log_hazard(self.act(self.second(self.act(self.first(values))))).squeeze(-1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="train without the fault")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    weights = 0.35 * torch.randn(VALUES)
    model = Hazard()
    optimizer = torch.optim.NAdam(model.parameters(), lr=2e-3)
    recent: list[float] = []
    for number in range(HOSPITALS):
        values, years, died = hospital(weights, in_months=number == 104 and not args.fixed)
        log_hazard = model(values)
        loss = (log_hazard.exp() * years - died * log_hazard).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        recent.append(loss.item())
        if number % 16 == 15:
            print(f"hospital {number}: mean loss {sum(recent[-16:]) / 16:.4f}, worst {max(recent[-16:]):.4f}")
