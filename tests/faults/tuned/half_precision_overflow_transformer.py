"""A transformer in half precision whose loss is scaled by hand."""

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

WORDS, LENGTH = 20, 12
SCALE = 1024.0 if args.fixed else 2.0**20


class Model(nn.Module):
    def __init__(self, width: int = 32):
        super().__init__()
        self.embed = nn.Embedding(WORDS, width)
        layer = nn.TransformerEncoderLayer(width, 2, 48, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, WORDS)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.encoder(self.embed(x))))


model = Model().to(device).half()
optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
for step in range(60):
    x = torch.randint(WORDS, (32, LENGTH), device=device)
    y = (x + 3) % WORDS
    loss = F.cross_entropy(model(x).flatten(0, 1).float(), y.flatten())
    optimizer.zero_grad()
    (loss * SCALE).backward()
    for parameter in model.parameters():
        parameter.grad /= SCALE
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
