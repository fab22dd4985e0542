"""Trainings built the way people build them: for the comparison of trainings from tapes with real ones.

python tests/benchmarks/what_if_structures.py STRUCTURE [STEPS]

Each is the shape of a well-known training in small: its model, its optimizer with its groups and schedule, and what its loop does between
backward and step.
"""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.benchmarks.what_if_fresh import FRESH
from tests.benchmarks.what_if_recipes import RECIPES

WORDS, LENGTH, WIDTH = 24, 12, 16


def tokens(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return sequences that count upwards by a step of their own, and the same one further."""
    first, step = torch.randint(WORDS, (count, 1)), torch.randint(1, 4, (count, 1))
    whole = (first + step * torch.arange(LENGTH + 1)) % WORDS
    return whole[:, :-1], whole[:, 1:]


def pictures(count: int, side: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Return noisy bars, upright or lying, at one of two places."""
    labels = torch.randint(4, (count,))
    images = 0.3 * torch.randn(count, 1, side, side)
    for kind in range(4):
        place = side // 4 + (kind // 2) * side // 2
        where = (labels == kind).nonzero()[:, 0]
        bar = (where, 0, slice(None), place) if kind % 2 else (where, 0, place)
        images[bar] += 1.0
    return images, labels


class Attention(nn.Module):
    """Causal attention, one product for queries, keys and values; by hand, or by torch's own function."""

    def __init__(self, heads: int, dropout: float, by_hand: bool) -> None:
        super().__init__()
        self.heads, self.by_hand, self.share = heads, by_hand, dropout
        self.c_attn, self.c_proj = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("mask", torch.tril(torch.ones(LENGTH, LENGTH)).view(1, 1, LENGTH, LENGTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        q, k, v = (one.view(batch, length, self.heads, width // self.heads).transpose(1, 2) for one in self.c_attn(x).split(width, 2))
        if self.by_hand:
            scores = (q @ k.transpose(-2, -1)) / math.sqrt(k.size(-1))
            scores = scores.masked_fill(self.mask[:, :, :length, :length] == 0, float("-inf"))  # type: ignore[index]
            y = self.dropout(F.softmax(scores, -1)) @ v
        else:
            y = F.scaled_dot_product_attention(q, k, v, dropout_p=self.share if self.training else 0.0, is_causal=True)
        return self.dropout(self.c_proj(y.transpose(1, 2).contiguous().view(batch, length, width)))  # type: ignore[no-any-return]


class Block(nn.Module):
    def __init__(self, dropout: float, by_hand: bool) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attn = Attention(2, dropout, by_hand)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH), nn.Dropout(dropout))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))  # type: ignore[no-any-return]


class Gpt(nn.Module):
    """A language model that returns logits and loss; with its input and output embeddings tied, or not."""

    def __init__(self, dropout: float, by_hand: bool, tied: bool) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(WORDS, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.h = nn.ModuleList(Block(dropout, by_hand) for _ in range(2))
        self.ln_f, self.lm_head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WORDS, bias=False)
        self.apply(self._start)
        for name, parameter in self.named_parameters():
            if name.endswith("c_proj.weight"):
                nn.init.normal_(parameter, 0.0, 0.02 / math.sqrt(4))
        if tied:
            self.wte.weight = self.lm_head.weight

    @staticmethod
    def _start(module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, words: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.wte(words) + self.wpe(torch.arange(words.size(1)))
        for block in self.h:
            x = block(x)
        logits = self.lm_head(self.ln_f(x))
        return logits, F.cross_entropy(logits.view(-1, WORDS), targets.reshape(-1), ignore_index=-1)

    def optimizer(self, rate: float) -> torch.optim.Optimizer:
        """Weights of matrices decay, biases and norms do not."""
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        groups = [
            {"params": [one for one in trained if one.dim() >= 2], "weight_decay": 0.1},
            {"params": [one for one in trained if one.dim() < 2], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95))


def gpt_accumulated(steps: int) -> list[nn.Module]:
    """Tied embeddings, torch's attention, warm-up and cosine set by hand, two micro-batches a step, clipping, a scaler that is off."""
    model = Gpt(0.0, False, True)
    optimizer = model.optimizer(1e-2)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    x, y = tokens(8)
    for step in range(steps):
        rate = 1e-2 * (step + 1) / 4 if step < 4 else 1e-3 + 0.5 * (1 + math.cos(math.pi * (step - 4) / max(steps - 4, 1))) * 9e-3
        for group in optimizer.param_groups:
            group["lr"] = rate
        for _ in range(2):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                _, loss = model(x, y)
                loss = loss / 2
            x, y = tokens(8)
            scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
    return [model]


def gpt_with_dropout(steps: int) -> list[nn.Module]:
    """Attention by hand with a buffer for a mask, dropout, gradients set to none by the model, clipping, batches of a loader."""
    model = Gpt(0.1, True, False)
    optimizer = model.optimizer(5e-3)
    data = torch.utils.data.TensorDataset(*tokens(64))
    loader = torch.utils.data.DataLoader(data, batch_size=8, sampler=torch.utils.data.RandomSampler(data, True, 10**4))
    batches = iter(loader)
    model.train()
    for _ in range(steps):
        words, targets = next(batches)
        _, loss = model(words, targets)
        model.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return [model]


def dcgan(steps: int) -> list[nn.Module]:
    """Transposed convolutions against strided ones, two Adams, a real and a fake backward before the critic's step."""

    def start(module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)

    maker = nn.Sequential(
        *(nn.ConvTranspose2d(8, 16, 2, 1, 0, bias=False), nn.BatchNorm2d(16), nn.ReLU(True)),
        *(nn.ConvTranspose2d(16, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(True)),
        *(nn.ConvTranspose2d(8, 1, 4, 2, 1, bias=False), nn.Tanh()),
    ).apply(start)
    critic = nn.Sequential(
        *(nn.Conv2d(1, 8, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)),
        *(nn.Conv2d(8, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16), nn.LeakyReLU(0.2, inplace=True)),
        *(nn.Conv2d(16, 1, 2, 1, 0, bias=False), nn.Sigmoid()),
    ).apply(start)
    criterion = nn.BCELoss()
    critics, makers = (torch.optim.Adam(one.parameters(), lr=2e-3, betas=(0.5, 0.999)) for one in (critic, maker))
    for _ in range(steps):
        critic.zero_grad()
        real, _ = pictures(8)
        label = torch.full((8,), 1.0)
        criterion(critic(real).view(-1), label).backward()
        fake = maker(torch.randn(8, 8, 1, 1))
        label.fill_(0.0)
        criterion(critic(fake.detach()).view(-1), label).backward()
        critics.step()
        maker.zero_grad()
        label.fill_(1.0)
        criterion(critic(fake).view(-1), label).backward()
        makers.step()
    return [maker, critic]


class Bottleneck(nn.Module):
    """Two convolutions with batch norm beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)) if stride > 1 else None
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += identity
        return self.relu(out)  # type: ignore[no-any-return]


def resnet(steps: int, autocast: bool = True) -> list[nn.Module]:
    """Residual blocks under autocast to bfloat16, Nesterov with decay, one-cycle rates, label smoothing."""
    model = nn.Sequential(
        *(nn.Conv2d(1, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True)),
        *(Bottleneck(8, 8, 1), Bottleneck(8, 16, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4)),
    )
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.2, total_steps=steps + 1)
    for _ in range(steps):
        images, labels = pictures(16)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            loss = F.cross_entropy(model(images), labels, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return [model]


class Words(nn.Module):
    """An LSTM whose state goes on from batch to batch."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.2)
        self.encoder, self.rnn, self.decoder = nn.Embedding(WORDS, WIDTH), nn.LSTM(WIDTH, 20, 2, dropout=0.2), nn.Linear(20, WORDS)
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)

    def forward(self, words: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        out, state = self.rnn(self.drop(self.encoder(words)), state)
        return F.log_softmax(self.decoder(self.drop(out)).view(-1, WORDS), 1), state


def lstm_clipped(steps: int) -> list[nn.Module]:
    """Truncated backpropagation, clipping, and a rate above one; its state goes on."""
    model = Words()
    optimizer = torch.optim.SGD(model.parameters(), lr=2.0)
    state = torch.zeros(2, 8, 20), torch.zeros(2, 8, 20)
    for _ in range(steps):
        words, targets = tokens(8)
        optimizer.zero_grad()
        state = tuple(one.detach() for one in state)  # type: ignore[assignment]
        out, state = model(words.t(), state)
        F.nll_loss(out, targets.t().reshape(-1)).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()
    return [model]


def cnn_accumulated(steps: int) -> list[nn.Module]:
    """Four micro-batches a step, dropout, Adam with an exponential schedule."""
    model = nn.Sequential(
        *(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)),
        *(nn.Flatten(), nn.Linear(32, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 4)),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.97)
    optimizer.zero_grad()
    for batch in range(4 * steps):
        images, labels = pictures(8)
        loss = F.nll_loss(F.log_softmax(model(images), 1), labels) / 4
        loss.backward()  # type: ignore[no-untyped-call]
        if (batch + 1) % 4 == 0:
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
    return [model]


class Vae(nn.Module):
    """An encoder to means and variances, noise, a decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc21, self.fc22 = nn.Linear(64, 32), nn.Linear(32, 4), nn.Linear(32, 4)
        self.fc3, self.fc4 = nn.Linear(4, 32), nn.Linear(32, 64)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        hidden = F.relu(self.fc1(x))
        mean, spread = self.fc21(hidden), self.fc22(hidden)
        std = torch.exp(0.5 * spread)
        z = mean + torch.randn_like(std) * std
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mean, spread


def vae(steps: int) -> list[nn.Module]:
    """A sum of a reconstruction and a divergence, noise drawn in the forward."""
    model = Vae()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(steps):
        x = pictures(16)[0].flatten(1).sigmoid()
        optimizer.zero_grad()
        again, mean, spread = model(x)
        loss = F.binary_cross_entropy(again, x, reduction="sum") - 0.5 * torch.sum(1 + spread - mean.pow(2) - spread.exp())
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return [model]


def distilled(steps: int) -> list[nn.Module]:
    """A student learns from a teacher that is a slow copy of it, as in self-supervised training; AdamW, decay by a cosine."""
    student = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.GELU(), nn.LayerNorm(32), nn.Linear(32, 16))
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.GELU(), nn.LayerNorm(32), nn.Linear(32, 16))
    teacher.load_state_dict(student.state_dict())
    for parameter in teacher.parameters():
        parameter.requires_grad = False
    optimizer = torch.optim.AdamW(student.parameters(), lr=2e-3, weight_decay=0.04)
    center = torch.zeros(1, 16)
    for _ in range(steps):
        images, _ = pictures(16)
        first, second = images + 0.1 * torch.randn_like(images), images.flip(-1)
        aim = teacher(first)
        out = student(second)
        loss = torch.sum(-F.softmax((aim - center) / 0.5, -1).detach() * F.log_softmax(out, -1), -1).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(student.parameters(), 3.0)
        optimizer.step()
        with torch.no_grad():
            center = center * 0.9 + aim.mean(0, keepdim=True) * 0.1
            for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
                slow.data.mul_(0.95).add_(fast.detach().data, alpha=0.05)
    return [student, teacher]


STRUCTURES: dict[str, Callable[[int], list[nn.Module]]] = {
    "gpt-accumulated": gpt_accumulated,
    "gpt-with-dropout": gpt_with_dropout,
    "dcgan": dcgan,
    "resnet-bfloat16": resnet,
    "resnet": lambda steps: resnet(steps, False),
    "lstm-clipped": lstm_clipped,
    "cnn-accumulated": cnn_accumulated,
    "vae": vae,
    "distilled": distilled,
    **RECIPES,
    **FRESH,
}


def main() -> None:
    """Train, and print what became of the weights."""
    structure, *steps = sys.argv[1:]
    torch.set_num_threads(1)
    torch.manual_seed(1337)
    models = STRUCTURES[structure](int(steps[0]) if steps else 12)
    weights = [value for model in models for value in model.state_dict().values()]
    print(hashlib.sha256(b"".join(value.contiguous().numpy().tobytes() for value in weights)).hexdigest())


if __name__ == "__main__":
    main()
