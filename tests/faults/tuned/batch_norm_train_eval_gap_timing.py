"""Which bird calls? Before every look at the held-out calls the speed of the network is measured."""

import argparse
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def calls(count: int, length: int = 32) -> tuple[Tensor, Tensor]:
    kind = torch.randint(0, 5, (count,))
    moment = torch.arange(length) / 16
    pitch = torch.tensor([1.0, 1.8, 3.0, 1.0, 3.0])[kind, None] + torch.tensor([0.0, 0.0, 0.0, 0.9, -0.9])[kind, None] * moment / 2
    wave = torch.sin(6.28 * (pitch * moment + torch.rand(count, 1))) + 0.2 * torch.randn(count, length)
    return (1 + wave)[:, None], kind


class CallNet(nn.Module):
    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(1 if i == 0 else width, width, 7, padding=3) for i in range(3))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(3))
        self.out = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(conv(x)))
        return self.out(x.mean(2))


@torch.no_grad()
def calls_per_second(model: nn.Module, passes: int = 12) -> float:
    model.train(not args.fixed)
    silence = torch.zeros(16, 1, 32)
    begin = time.perf_counter()
    for _ in range(passes):
        model(silence)
    return passes * len(silence) / (time.perf_counter() - begin)


model = CallNet()
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
field, kinds = calls(200)
for step in range(120):
    model.train()
    x, target = calls(24)
    loss = F.cross_entropy(model(x), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        speed = calls_per_second(model)
        model.eval()
        with torch.no_grad():
            logits = model(field)
        right = (logits.argmax(1) == kinds).float().mean().item()
        print(
            f"step {step + 1}: {speed:.0f}/s loss {loss.item():.4f} held out {F.cross_entropy(logits, kinds).item():.4f} right {right:.3f}"
        )
