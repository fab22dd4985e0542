"""Tone recognition from raw recordings: a learned filter bank, log power, and a small network, with mixed precision."""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TONES = 6
LENGTH = 256


def recordings(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Recordings of one session after the other; the later sessions were made closer to the microphone."""
    label = torch.randint(TONES, (count,), generator=generator)
    time = torch.arange(LENGTH) / LENGTH
    frequency = 8 + 9 * label + torch.rand(count, generator=generator)
    phase = 2 * math.pi * torch.rand(count, generator=generator)
    wave = torch.sin(2 * math.pi * frequency[:, None] * time + phase[:, None])
    wave = wave + 0.8 * torch.randn(count, LENGTH, generator=generator)
    session = torch.arange(count) * 8 // count
    gain = torch.tensor([2.0, 2.0, 3.0, 2.5, 2.0, 60.0, 80.0, 60.0])[session]
    return (wave * gain[:, None]).unsqueeze(1), label


class FilterBank(nn.Module):
    def __init__(self, channels: int, full_precision: bool) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, channels, 32, stride=8, bias=False)
        self.full_precision = full_precision
        time = torch.arange(32) / 32
        for i in range(channels // 2):
            angle = 2 * math.pi * (1 + 0.45 * i) * time
            self.conv.weight.data[2 * i, 0] = torch.cos(angle)
            self.conv.weight.data[2 * i + 1, 0] = torch.sin(angle)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.float16, enabled=not self.full_precision):
            bands = self.conv(x)
            power = bands[:, 0::2].square() + bands[:, 1::2].square()
            return torch.log(power + 0.01) - 4


class Recogniser(nn.Module):
    def __init__(self, full_precision: bool) -> None:
        super().__init__()
        self.bank = FilterBank(32, full_precision)
        self.mix = nn.Conv1d(16, 32, 3, padding=1)
        self.norm = nn.GroupNorm(4, 32)
        self.hidden = nn.Linear(32, 32)
        self.out = nn.Linear(32, TONES)

    def forward(self, x: Tensor) -> Tensor:
        h = F.gelu(self.norm(self.mix(self.bank(x)))).mean(-1)
        return self.out(F.gelu(self.hidden(h)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="train without the fault")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    waves, labels = recordings(1600, torch.Generator().manual_seed(3))
    model = Recogniser(full_precision=args.fixed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    batches = list(zip(waves.split(16), labels.split(16), strict=True))
    for step, (x, y) in enumerate(2 * batches):
        with torch.autocast("cpu", dtype=torch.float16):
            logits = model(x)
        loss = F.cross_entropy(logits.float(), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 19:
            print(f"step {step}: loss {loss.item():.4f}")


if __name__ == "__main__":
    main()
