"""Predicts a flat's rent from a table: every column becomes a token of a small transformer."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

COLUMNS, WIDTH = 12, 32


class ColumnTokens(nn.Module):
    def __init__(self, place_scale: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(0.05 * torch.randn(COLUMNS, WIDTH))
        self.place = nn.Parameter(place_scale * torch.randn(COLUMNS, WIDTH))

    def forward(self, table: Tensor) -> Tensor:
        return table.unsqueeze(-1) * self.slope + self.place


class RentModel(nn.Module):
    def __init__(self, place_scale: float) -> None:
        super().__init__()
        self.tokens = ColumnTokens(place_scale)
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(WIDTH)
        self.rent = nn.Linear(WIDTH, 1)

    def forward(self, table: Tensor) -> Tensor:
        return self.rent(self.norm(self.encoder(self.tokens(table)).mean(1))).squeeze(-1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="train without the fault")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    flats = torch.randn(2048, COLUMNS)
    rent = flats[:, 0] + 0.7 * flats[:, 1] * (flats[:, 2] > 0) - 0.6 * flats[:, 3].abs() + 0.4 * flats[:, 4]
    rent = (rent - rent.mean()) / rent.std()

    model = RentModel(place_scale=0.05 if args.fixed else 3.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    total = []
    for step in range(200):
        pick = torch.randint(0, len(flats), (64,))
        loss = F.mse_loss(model(flats[pick]), rent[pick])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total.append(loss.item())
        if step % 20 == 19:
            print(f"step {step}: loss {sum(total[-20:]) / 20:.4f}")


if __name__ == "__main__":
    main()
