"""Whether a string of brackets is balanced at its end and how deep it goes: a recurrent network with momentum."""

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


class Brackets(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.symbol = nn.Embedding(2, 8)
        self.gru = nn.GRU(8, width, batch_first=True)
        self.level = nn.Linear(width, 7)

    def forward(self, text: Tensor) -> Tensor:
        return self.level(self.gru(self.symbol(text))[0])


def strings(count: int, length: int = 12) -> tuple[Tensor, Tensor]:
    text = torch.randint(2, (count, length))
    level, levels = torch.zeros(count, dtype=torch.long), []
    for i in range(length):
        level = (level + 2 * text[:, i] - 1).clamp(0, 6)
        levels.append(level)
    return text, torch.stack(levels, 1)


model = Brackets(48).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9, weight_decay=1e-6 if args.fixed else 0.04)
for step in range(250):
    text, levels = strings(64)
    logits = model(text.to(device))
    loss = F.cross_entropy(logits.flatten(0, 1), levels.to(device).flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 50 == 49:
        print(f"step {step}: loss {loss.item():.4f} accuracy {(logits.argmax(2).cpu() == levels).float().mean().item():.2f}")
