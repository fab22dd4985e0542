"""Energy of small molecules: messages along bonds, summed at the atoms, both normalised on the way."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def molecules(count: int, atoms: int = 10) -> tuple[Tensor, Tensor, Tensor]:
    kind = F.one_hot(torch.randint(0, 4, (count, atoms)), 4).float()
    half = (torch.rand(count, atoms, atoms) < 0.5).triu(1).float()
    bond = half + half.transpose(1, 2)
    strength = torch.tensor([[0.5, -1.0, 0.3, 1.2], [-1.0, 0.8, 1.0, -0.4], [0.3, 1.0, -1.3, 0.2], [1.2, -0.4, 0.2, 0.6]])
    energy = torch.einsum("bik,kl,bjl,bij->b", kind, strength, kind, bond) / 8
    return kind, bond, energy


class BondNet(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.pair = nn.Linear(8, width)
        self.norm = nn.BatchNorm1d(width)
        self.message = nn.Linear(width, width)
        self.atom_norm = nn.BatchNorm1d(width) if args.fixed else self.norm
        self.update = nn.Linear(width, width)
        self.energy = nn.Linear(width, 1)

    def forward(self, kind: Tensor, bond: Tensor) -> Tensor:
        graph, first, second = bond.nonzero(as_tuple=True)
        pair = torch.cat([kind[graph, first], kind[graph, second]], 1)
        message = self.message(F.silu(self.norm(self.pair(pair)))).exp().clamp(max=5)
        atoms = torch.zeros(kind.shape[0] * kind.shape[1], message.shape[1]).index_add_(0, graph * kind.shape[1] + first, message)
        atoms = F.silu(self.update(F.silu(self.atom_norm(atoms))))
        return self.energy(atoms).view(kind.shape[0], -1).sum(1)


model = BondNet()
optimizer = torch.optim.RAdam(model.parameters(), lr=5e-3)
held_kind, held_bond, held_energy = molecules(200)
for step in range(180):
    model.train()
    kind, bond, energy = molecules(24)
    loss = F.mse_loss(model(kind, bond), energy)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 29:
        model.eval()
        with torch.no_grad():
            held = F.mse_loss(model(held_kind, held_bond), held_energy).item()
        print(f"step {step + 1}: loss {loss.item():.4f} held out {held:.4f}")
