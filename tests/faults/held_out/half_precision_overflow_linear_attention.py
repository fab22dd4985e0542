"""Long event logs classified by linear attention in float16 autocast."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

EVENTS, LENGTH, CLASSES, WIDTH = 20, 600, 4, 32


class LinearAttention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = F.elu(self.query(x)) + 1, F.elu(self.key(x)) + 1, self.value(x)
        if args.fixed:
            key = key / (x.shape[1] * x.shape[2])
        summary = key.transpose(1, 2) @ value
        total = query @ key.sum(1, keepdim=True).transpose(1, 2)
        return self.out((query @ summary) / total)


class LogReader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(EVENTS, WIDTH)
        self.attention = LinearAttention(WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, CLASSES)
        nn.init.normal_(self.embed.weight, std=5.0)

    def forward(self, events: Tensor) -> Tensor:
        x = self.embed(events)
        return self.head(self.norm(x + self.attention(x)).mean(1))


habits = (torch.randn(CLASSES, EVENTS) * 0.7).softmax(1)

model = LogReader()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
losses = []
for step in range(50):
    label = torch.randint(CLASSES, (14,))
    events = torch.multinomial(habits[label], LENGTH, replacement=True)
    with torch.autocast("cpu", dtype=torch.float16):
        logits = model(events)
    loss = F.cross_entropy(logits.float(), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 10 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
final = sum(losses[-10:]) / 10
print(f"final loss {final:.4f}")
