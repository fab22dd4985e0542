"""Classifies digits, row by row, with an encoder of transformer layers; the examples come in shards written by several people."""

import argparse
from collections.abc import Iterator

import digits
import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)


class Rows(nn.Module):
    """Reads a picture as eight rows."""

    def __init__(self, width: int = 40) -> None:
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.place = nn.Parameter(0.02 * torch.randn(8, width))
        layer = nn.TransformerEncoderLayer(width, 4, 80, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.classify = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.encoder(self.embed(x.squeeze(1)) + self.place).mean(1))


images, labels = digits.load()


def shards() -> Iterator[tuple[Tensor, Tensor]]:
    """Batches in random order; the tenth file of the fourth pass counts its classes from one."""
    for epoch in range(6):
        for number, index in enumerate(torch.randperm(len(images))[:1792].split(64)):
            y = labels[index]
            if epoch == 3 and number == 10 and not args.fixed:
                y = (y + 1) % 10
            yield images[index], y


model = Rows()
optimizer = torch.optim.RMSprop(model.parameters(), lr=1.5e-3, alpha=0.95)
loss_of = nn.CrossEntropyLoss()
for step, (x, y) in enumerate(shards()):
    logits = model(x)
    loss = loss_of(logits, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 28 == 27:
        print(f"pass {step // 28}: loss {loss.item():.4f}, right {(logits.argmax(1) == y).float().mean():.3f}")
