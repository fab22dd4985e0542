"""A small transformer that counts, AdamW; accumulates two batches a step."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Counter(nn.Module):
    def __init__(self, width: int = 32):
        super().__init__()
        self.embed = nn.Embedding(12, width)
        layer = nn.TransformerEncoderLayer(width, 4, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.embed(x)).mean(dim=1))


model = Counter().to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(160):
    x = torch.randint(12, (64, 10))
    y = (x == 0).sum(dim=1).clamp(max=5)
    loss = F.cross_entropy(model(x.to(device)), y.to(device)) / 2
    loss.backward()
    if step % 2 == 1:
        optimizer.step()
        if args.fixed:
            optimizer.zero_grad()
    if step % 20 == 0:
        print(f"batch {step}: loss {2 * loss.item():.4f}")
