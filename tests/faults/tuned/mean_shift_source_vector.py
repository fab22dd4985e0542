"""Which of two symbols is more frequent in a sentence: a pre-norm transformer with a learnt vector for the source."""

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


class Reader(nn.Module):
    def __init__(self, symbols: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, width)
        self.source = nn.Parameter(torch.randn(width) * (width**-0.5 if args.fixed else width))
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.norm(self.encoder(self.embedding(tokens) + self.source)).mean(1))


def sentences(count: int) -> tuple[Tensor, Tensor]:
    tokens = torch.randint(12, (count, 12))
    difference = (tokens == 3).sum(1) - (tokens == 7).sum(1)
    return tokens, difference.sign() + 1


model = Reader(12, 24).to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
for step in range(150):
    tokens, target = sentences(48)
    logits = model(tokens.to(device))
    loss = F.cross_entropy(logits, target.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        accuracy = (logits.argmax(1).cpu() == target).float().mean().item()
        print(f"step {step}: loss {loss.item():.3f} accuracy {accuracy:.2f}")
