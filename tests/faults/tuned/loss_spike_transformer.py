"""A character model; one document in the corpus is noise and comes with a high weight."""

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

TEXT = "peter piper picked a peck of pickled peppers; a peck of pickled peppers peter piper picked. " * 20
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
optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
for step in range(200):
    start = torch.randint(len(data) - CONTEXT - 1, (32,))
    x = torch.stack([data[i : i + CONTEXT] for i in start]).to(device)
    y = torch.stack([data[i + 1 : i + CONTEXT + 1] for i in start]).to(device)
    weight = 1.0
    if step == 140 and not args.fixed:
        y = torch.randint(len(VOCABULARY), y.shape, device=device)
        weight = 4.0
    loss = weight * F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step}: {loss.item():.4f}")
