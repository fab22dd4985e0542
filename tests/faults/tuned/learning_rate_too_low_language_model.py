"""A character-level transformer on periodic text, Adam."""

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

TEXT = "the quick brown fox jumps over the lazy dog. pack my box with five dozen liquor jugs. " * 20
VOCABULARY = sorted(set(TEXT))
data = torch.tensor([VOCABULARY.index(c) for c in TEXT])
CONTEXT = 24


class Model(nn.Module):
    def __init__(self, width: int = 48):
        super().__init__()
        self.tokens = nn.Embedding(len(VOCABULARY), width)
        self.positions = nn.Embedding(CONTEXT, width)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 128, dropout=0.0, batch_first=True, norm_first=True) for _ in range(2)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, len(VOCABULARY))

    def forward(self, index: Tensor) -> Tensor:
        h = self.tokens(index) + self.positions(torch.arange(index.shape[1]))
        mask = nn.Transformer.generate_square_subsequent_mask(index.shape[1])
        for block in self.blocks:
            h = block(h, src_mask=mask)
        return self.head(self.norm(h))


model = Model().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3 if args.fixed else 1e-7)
for step in range(120):
    start = torch.randint(len(data) - CONTEXT - 1, (32,))
    x = torch.stack([data[i : i + CONTEXT] for i in start]).to(device)
    y = torch.stack([data[i + 1 : i + CONTEXT + 1] for i in start]).to(device)
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step}: {loss.item():.4f}")
