"""A character model with AdamW."""

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

TEXT = "she sells sea shells by the sea shore; the shells she sells are sea shells for sure. " * 20
VOCABULARY = sorted(set(TEXT))
data = torch.tensor([VOCABULARY.index(c) for c in TEXT])
CONTEXT = 16


class Model(nn.Module):
    def __init__(self, width: int = 32):
        super().__init__()
        self.tokens = nn.Embedding(len(VOCABULARY), width)
        self.positions = nn.Embedding(CONTEXT, width)
        self.block = nn.TransformerEncoderLayer(width, 4, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, len(VOCABULARY))

    def forward(self, index: Tensor) -> Tensor:
        h = self.tokens(index) + self.positions(torch.arange(index.shape[1]))
        h = self.block(h, src_mask=nn.Transformer.generate_square_subsequent_mask(index.shape[1]))
        return self.head(self.norm(h))


model = Model().to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01 if args.fixed else 30.0)
for step in range(150):
    start = torch.randint(len(data) - CONTEXT - 1, (32,))
    x = torch.stack([data[i : i + CONTEXT] for i in start]).to(device)
    y = torch.stack([data[i + 1 : i + CONTEXT + 1] for i in start]).to(device)
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step}: {loss.item():.4f}")
