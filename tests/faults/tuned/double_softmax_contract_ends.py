"""When does a customer leave? A hazard for each of twelve months, learned from running and ended contracts."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MONTHS, FACTS = 12, 8


def contracts(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Facts of the customer, the month the contract ended (or was last seen), and whether it ended."""
    facts = torch.randn(count, FACTS)
    rush = torch.zeros(MONTHS)
    rush[[2, 5, 11]] = 1.5
    logit = -2.5 + 1.3 * facts[:, :1] - facts[:, 1:2] * facts[:, 2:3] + rush
    leaves = torch.rand(count, MONTHS) < torch.sigmoid(logit)
    ended = leaves.any(1)
    month = torch.where(ended, leaves.int().argmax(1), MONTHS - 1)
    seen = torch.randint(3, MONTHS, (count,))
    return facts, torch.minimum(month, seen), (ended & (month <= seen)).float()


class MonthlyHazard(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.facts = nn.Linear(FACTS, 64)
        self.mix = nn.Linear(64, 64)
        self.hazard = nn.Linear(64, MONTHS)

    def forward(self, facts: Tensor) -> Tensor:
        h = F.gelu(self.facts(facts))
        return self.hazard(F.gelu(self.mix(h)))


def hazard_loss(hazard: Tensor, month: Tensor, ended: Tensor) -> Tensor:
    at_risk = (torch.arange(MONTHS) <= month.unsqueeze(1)).float()
    event = F.one_hot(month, MONTHS) * ended.unsqueeze(1)
    each = F.binary_cross_entropy_with_logits(hazard, event, reduction="none")
    return (each * at_risk).sum() / at_risk.sum()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="train without the fault")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    facts, month, ended = contracts(4000)
    model: nn.Module = MonthlyHazard()
    if not args.fixed:
        model = nn.Sequential(model, nn.Sigmoid())
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(4):
        losses = []
        for batch in torch.randperm(len(facts)).split(100):
            loss = hazard_loss(model(facts[batch]), month[batch], ended[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch}: loss {sum(losses) / len(losses):.4f}")


if __name__ == "__main__":
    main()
