"""Classify digits with a small vision transformer: each row of pixels is a token."""

import argparse

import digits
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class RowTransformer(nn.Module):
    def __init__(self, width: int = 48, depth: int = 3):
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.position = nn.Parameter(torch.randn(1, 8, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x.squeeze(1)) + self.position
        return self.head(self.norm(self.encoder(h)).mean(dim=1))


images, labels = digits.load()
loader = DataLoader(TensorDataset(images, labels), batch_size=64, shuffle=True, drop_last=True)
model = RowTransformer().to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3 if args.fixed else 0.3, weight_decay=0.01)
criterion = nn.CrossEntropyLoss()

step = 0
for _epoch in range(4):
    for x, y in loader:
        loss = criterion(model(x.to(device)), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 0:
            print(f"step {step}: loss {loss.item():.4f}")
        step += 1
