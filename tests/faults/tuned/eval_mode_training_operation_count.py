"""Key words in spectrograms: a deep network of separable convolutions, whose operations are counted first."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def spectrograms(count: int) -> tuple[Tensor, Tensor]:
    word = torch.randint(0, 6, (count,))
    time = torch.linspace(0, 1, 20)
    begin = torch.tensor([2.0, 8.0, 2.0, 8.0, 5.0, 5.0])[word, None]
    end = torch.tensor([2.0, 8.0, 8.0, 2.0, 9.0, 1.0])[word, None]
    pitch = begin + (end - begin) * time + 0.5 * torch.randn(count, 1)
    bands = torch.arange(12.0)
    return torch.exp(-(bands[:, None] - pitch[:, None]).square()) + 0.15 * torch.randn(count, 12, 20), word


def block(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(width, width, 5, padding=2, groups=width, bias=False),
        nn.Conv1d(width, width, 1, bias=False),
        nn.BatchNorm1d(width),
        nn.ReLU(),
    )


def count_operations(model: nn.Sequential, example: Tensor) -> int:
    """Multiplications of the convolutions for one example."""
    total = 0

    def add(module: nn.Conv1d, _: object, output: Tensor) -> None:
        nonlocal total
        total += output.numel() * module.weight[0].numel()

    hooks = [m.register_forward_hook(add) for m in model.modules() if isinstance(m, nn.Conv1d)]
    model.eval()
    with torch.no_grad():
        model(example)
    for hook in hooks:
        hook.remove()
    return total


model = nn.Sequential(
    nn.Conv1d(12, 40, 3, padding=1), *(block(40) for _ in range(7)), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(40, 6)
)
print(f"{count_operations(model, spectrograms(1)[0])} multiplications")
if args.fixed:
    model.train()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
for step in range(120):
    x, word = spectrograms(48)
    logits = model(x)
    loss = F.cross_entropy(logits, word)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1}: loss {loss.item():.4f} accuracy {(logits.argmax(1) == word).float().mean().item():.3f}")
