"""Temperature behind a cooling tower from twelve readings of the plant: residual blocks with layer normalisation."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

plant = torch.randn(3000, 12)
outlet = torch.tanh(plant[:, 0] + plant[:, 1] * plant[:, 2]) + 0.7 * plant[:, 3].abs() - 0.5 * plant[:, 4] + 0.4 * plant[:, 5]
outlet = (outlet - outlet.mean()) / outlet.std()
loader = DataLoader(TensorDataset(plant, outlet), batch_size=48, shuffle=True, drop_last=True)


class Block(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(F.gelu(self.up(self.norm(x))))


model = nn.Sequential(nn.Linear(12, 40), *[Block(40) for _ in range(4)], nn.LayerNorm(40), nn.Linear(40, 1)).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.03 if args.fixed else 1e-5, momentum=0.9, nesterov=True)
for epoch in range(4):
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.smooth_l1_loss(model(x.to(device)).squeeze(1), y.to(device))
        loss.backward()
        optimizer.step()
        total += loss.item() / len(loader)
    print(f"epoch {epoch}: loss {total:.4f}")
