"""More trainings built the way people build them: recipes that lie around a model, for ``what_if_structures.py``.

Experts that a router picks, a second backward from a neighbouring point, a scaler in half precision, an averaged copy that is written to,
derivatives of outputs by inputs, a contrast of two views, a head on a backbone that stands at first.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

WIDTH, WORDS, LENGTH = 16, 24, 12


def words(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return sequences that count upwards by a step of their own, and the same one further."""
    first, step = torch.randint(WORDS, (count, 1)), torch.randint(1, 4, (count, 1))
    whole = (first + step * torch.arange(LENGTH + 1)) % WORDS
    return whole[:, :-1], whole[:, 1:]


def bars(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return noisy pictures of a bar at one of four places."""
    labels = torch.randint(4, (count,))
    images = 0.3 * torch.randn(count, 1, 8, 8)
    images[torch.arange(count), 0, 2 * labels] += 1.0
    return images, labels


class RootMeanSquare(nn.Module):
    """x over its root mean square, times a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.weight


class Rotated(nn.Module):
    """A block with rotary positions, torch's attention and a gated feed-forward."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList([RootMeanSquare(), RootMeanSquare()])
        self.queries, self.keys = nn.Linear(WIDTH, WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.values, self.out = nn.Linear(WIDTH, WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.gate, self.up = nn.Linear(WIDTH, 2 * WIDTH, bias=False), nn.Linear(WIDTH, 2 * WIDTH, bias=False)
        self.down = nn.Linear(2 * WIDTH, WIDTH, bias=False)
        angles = torch.outer(torch.arange(LENGTH), 100.0 ** (-torch.arange(4) / 4))
        self.register_buffer("turns", torch.polar(torch.ones_like(angles), angles), persistent=False)

    def turn(self, x: torch.Tensor) -> torch.Tensor:
        pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
        return torch.view_as_real(pairs * self.turns).flatten(-2).type_as(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        count, length, _ = x.shape
        y = self.norms[0](x)
        heads = [part(y).view(count, length, 2, 8).transpose(1, 2) for part in (self.queries, self.keys, self.values)]
        seen = F.scaled_dot_product_attention(self.turn(heads[0]), self.turn(heads[1]), heads[2], is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(count, length, WIDTH))
        y = self.norms[1](x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))  # type: ignore[no-any-return]


def llama(steps: int) -> list[nn.Module]:
    """Rotary positions, gated feed-forward, two groups of decay, bfloat16, micro-batches, clipping, a cosine by LambdaLR."""
    model = nn.Sequential(nn.Embedding(WORDS, WIDTH), Rotated(), Rotated(), RootMeanSquare(), nn.Linear(WIDTH, WORDS, bias=False))
    decayed = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    others = [parameter for parameter in model.parameters() if parameter.dim() < 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=3e-3, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 3) * (1 + math.cos(step / steps)) / 2)
    for _ in range(steps):
        for _ in range(2):
            x, y = words(8)
            with torch.autocast("cpu", torch.bfloat16):
                loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten()) / 2
            loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
    return [model]


class Experts(nn.Module):
    """Each sample goes through the two experts that a router prefers; one that nobody prefers is passed over."""

    def __init__(self, experts: int = 4) -> None:
        super().__init__()
        self.router = nn.Linear(64, experts)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(64, WIDTH), nn.GELU(), nn.Linear(WIDTH, 4)) for _ in range(experts))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shares, chosen = self.router(x).softmax(-1).topk(2, -1)
        out = x.new_zeros(len(x), 4)
        for number, expert in enumerate(self.experts):
            samples, places = torch.where(chosen == number)
            if samples.numel() == 0:
                continue
            out.index_add_(0, samples, shares[samples, places, None] * expert(x[samples]))
        return out


def mixture(steps: int, rate: float = 0.05) -> list[nn.Module]:
    """A mixture of experts with a router, in a loop over experts."""
    model = Experts()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    for _ in range(steps):
        x, y = bars(16)
        optimizer.zero_grad()
        F.cross_entropy(model(x.flatten(1)), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return [model]


class Sharpness(torch.optim.Optimizer):
    """Climbs to a neighbour, goes backward there, comes back, and steps with that gradient."""

    def __init__(self, parameters: Any, base: type[torch.optim.Optimizer], rho: float = 0.05, **settings: Any) -> None:
        super().__init__(parameters, {"rho": rho, **settings})
        self.base = base(self.param_groups, **settings)
        self.param_groups = self.base.param_groups

    @torch.no_grad()
    def climb(self) -> None:
        """Go up along the gradient."""
        parameters = [parameter for group in self.param_groups for parameter in group["params"] if parameter.grad is not None]
        norm = torch.norm(torch.stack([parameter.grad.norm(p=2) for parameter in parameters]), p=2)
        for parameter in parameters:
            self.state[parameter]["before"] = parameter.data.clone()
            parameter.add_(parameter.grad * (0.05 / (norm + 1e-12)))
        self.zero_grad()

    @torch.no_grad()
    def descend(self) -> None:
        """Come back, and step."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.data = self.state[parameter]["before"]
        self.base.step()
        self.zero_grad()


def sharpness(steps: int) -> list[nn.Module]:
    """Sharpness-aware minimisation, as its usual implementation has it: two backwards a step, of an optimizer around another."""
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 4)
    )
    optimizer = Sharpness(model.parameters(), torch.optim.SGD, lr=0.05, momentum=0.9)
    for _ in range(steps):
        x, y = bars(16)
        F.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
        optimizer.climb()
        F.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
        optimizer.descend()
    return [model]


def denoised(steps: int) -> list[nn.Module]:
    """Noise is predicted at a random time; an averaged copy, made by deepcopy, is written to by copy_; a warm-up and a cosine in a row."""
    model = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.SiLU(), nn.Conv2d(8, 1, 3, padding=1))
    average = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    warm = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=4)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [warm, cosine], [4])
    kept = torch.cumprod(1 - torch.linspace(1e-3, 0.2, 20), 0)
    for _ in range(steps):
        x, _ = bars(16)
        time, noise = torch.randint(20, (16,)), torch.randn_like(x)
        share = kept[time].view(-1, 1, 1, 1)
        noisy = share.sqrt() * x + (1 - share).sqrt() * noise
        aim = torch.cat([noisy, (time / 20).view(-1, 1, 1, 1).expand_as(x)], 1)
        loss = F.mse_loss(model(aim), noise)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
                slow.copy_(0.9 * slow + 0.1 * fast)
    return [model, average]


def scaled(steps: int) -> list[nn.Module]:
    """Half precision with a scaler: scaled backward, unscaled gradients clipped, steps that may be left out, factor updated."""
    model = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(384, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12, growth_interval=4)
    for _ in range(steps):
        x, y = bars(16)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.float16):
            loss = F.cross_entropy(model(x).float(), y)
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
    return [model]


def contrasted(steps: int) -> list[nn.Module]:
    """Two views of each picture are to be nearer to one another than to any other; a temperature that is learned, AdamW."""
    encoder = nn.Sequential(nn.Conv2d(1, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 16), nn.ReLU(), nn.Linear(16, 8))
    temperature = nn.Parameter(torch.tensor(2.0))
    optimizer = torch.optim.AdamW([*encoder.parameters(), temperature], lr=3e-3)
    for _ in range(steps):
        x, _ = bars(16)
        one, other = (F.normalize(encoder(x + 0.1 * torch.randn_like(x)), dim=-1) for _ in range(2))
        alike = temperature.exp() * one @ other.T
        goal = torch.arange(16)
        loss = (F.cross_entropy(alike, goal) + F.cross_entropy(alike.T, goal)) / 2
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        with torch.no_grad():
            temperature.clamp_(0, math.log(100))
    return [encoder]


def physics(steps: int) -> list[nn.Module]:
    """Second derivatives of the output by the input are a part of the loss; tanh, Adam, a stepped rate."""
    model = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 5, 0.5)
    for _ in range(steps):
        x = torch.rand(32, 1, requires_grad=True)
        u = model(x)
        first = torch.autograd.grad(u, x, torch.ones_like(u), create_graph=True)[0]
        second = torch.autograd.grad(first, x, torch.ones_like(first), create_graph=True)[0]
        loss = (second + math.pi**2 * torch.sin(math.pi * x)).square().mean() + model(torch.tensor([[0.0], [1.0]])).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return [model]


def tuned(steps: int) -> list[nn.Module]:
    """A head on a backbone that stands in evaluation mode, and is let go in the middle with a group of its own at a tenth of the rate."""
    backbone = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten())
    head = nn.Linear(128, 4)
    backbone.requires_grad_(False).eval()
    groups = [{"params": head.parameters()}, {"params": backbone.parameters(), "lr": 0.01}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    for step in range(steps):
        if step == steps // 2:
            backbone.requires_grad_(True)
        x, y = bars(16)
        loss = F.cross_entropy(head(backbone(x)), y, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return [backbone, head]


RECIPES: dict[str, Callable[[int], list[nn.Module]]] = {
    "llama-bfloat16": llama,
    "mixture-of-experts": mixture,
    "mixture-fast": lambda steps: mixture(steps, 2.0),
    "sharpness-aware": sharpness,
    "denoised": denoised,
    "scaled-float16": scaled,
    "contrasted": contrasted,
    "physics": physics,
    "tuned": tuned,
}
