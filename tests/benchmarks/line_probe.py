"""What a line probe costs: the forward while it is taped, one replay, and one line, all as multiples of the script's own forward.

    python tests/benchmarks/line_probe.py

Medians of paired repetitions in one process. "forwards" are those that the search counted. On a busy machine the medians still hold to
perhaps a tenth, the milliseconds do not.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from bnprobe.measure.line_search import search_line
from bnprobe.observe.probes.replay import Replay
from bnprobe.observe.probes.tape import Recording, Tape

REPETITIONS = 15


def convolutional() -> tuple[nn.Module, torch.Tensor]:
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, padding=1)]
    for _ in range(6):
        layers += [nn.BatchNorm2d(32), nn.ReLU(inplace=True), nn.Conv2d(32, 32, 3, padding=1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)), torch.randn(32, 3, 32, 32)


def perceptron() -> tuple[nn.Module, torch.Tensor]:
    layers = [part for _ in range(10) for part in (nn.Linear(64, 64), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(64, 10)), torch.randn(32, 64)


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(128, 4, 256, batch_first=True)
        self.encoder, self.head = nn.TransformerEncoder(layer, 4), nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(x).mean(1))


def transformer() -> tuple[nn.Module, torch.Tensor]:
    return Classifier(), torch.randn(16, 64, 128)


def measure(name: str, build: Callable[[], tuple[nn.Module, torch.Tensor]]) -> str:
    torch.manual_seed(0)
    model, x = build()
    y = torch.randint(10, (len(x),))

    def forward() -> torch.Tensor:
        return F.cross_entropy(model(x), y)

    bare, taped, replayed = [], [], []
    for _ in range(REPETITIONS + 3):
        bare.append(timed(forward))
        tape = Tape()
        with Recording(tape):
            began = time.perf_counter()
            loss = forward()
            taped.append(time.perf_counter() - began)
        slot = tape.find(loss)
        assert slot is not None
        replay = Replay(tape, [slot])
        replayed.append(timed(lambda replay=replay: replay.losses({})))
        assert torch.equal(replay.losses({})[0], loss.detach())
    at_zero = loss.item()
    loss.backward()
    before = {id(p): p.detach().clone() for p in model.parameters()}
    steps = {id(p): -0.1 * p.grad for p in model.parameters() if p.grad is not None}

    def line() -> int:
        return search_line(lambda s: float(replay.losses({key: w + s * steps[key] for key, w in before.items()})[0]), at_zero).forwards

    whole = [timed(line) for _ in range(5)]
    own = statistics.median(bare[3:])
    ratios = [statistics.median([b / a for a, b in zip(bare[3:], other[3:], strict=True)]) for other in (taped, replayed)]
    return f"| {name} | {1e3 * own:.1f} ms | {ratios[0]:.2f} | {ratios[1]:.2f} | {statistics.median(whole) / own:.1f} | {line()} |"


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    torch.set_num_threads(1)
    print("| network | forward | taped | one replay | one line | forwards |\n|---|---|---|---|---|---|")
    for name, build in (("6 conv + BN, 32x32, batch 32", convolutional), ("MLP 11x64", perceptron), ("transformer, 4 layers", transformer)):
        print(measure(name, build), flush=True)


if __name__ == "__main__":
    main()
