"""Small trainings with one thing wrong each, or nothing: the argument names it, a second one is the seed."""

import os
import signal
import sys

import torch
from torch import nn
from torch.nn import functional as F

kind, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
torch.manual_seed(seed)
torch.set_num_threads(1)
STEPS = 60
TRUTH = torch.randn(20, 5)


def batch(size: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(size, 20)
    return x, (x @ TRUTH).argmax(1)


def network(*between: nn.Module, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    return nn.Sequential(nn.Linear(20, 64), *between, activation(), nn.Linear(64, 64), activation(), nn.Linear(64, 5))


class Detached(nn.Module):
    """A part whose output is taken out of the graph."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.head = nn.Linear(20, 64), nn.Linear(64, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.encoder(x)).detach())


def initialised(model: nn.Module, initialise: object, **settings: float) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.Linear):
            initialise(module.weight, **settings)
            nn.init.zeros_(module.bias)
    return model


class Reusing(nn.Module):
    """One batch norm for two layers whose signals differ."""

    def __init__(self, own: bool) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(20, 64), nn.Linear(64, 64), nn.Linear(64, 5)
        self.norm = nn.BatchNorm1d(64)
        self.other = nn.BatchNorm1d(64) if own else self.norm
        nn.init.normal_(self.second.bias, mean=3.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.relu(self.norm(self.first(x)))
        return self.head(torch.relu(self.other(self.second(h))))


class Views(nn.Module):
    """Two views of a batch, each shifted as a whole by some amount, through one network with batch norm."""

    def __init__(self, momentum: float = 0.1) -> None:
        super().__init__()
        self.body = network(nn.BatchNorm1d(64, momentum=momentum))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x + torch.randn(20)) + self.body(x + torch.randn(20))


class ThreeViews(nn.Module):
    """A batch, one that is shifted, and the same again, through one network with batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.body = network(nn.BatchNorm1d(64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) + self.body(x + 5) + self.body(x)


models = {
    "three-views": ThreeViews,
    "shifted-views": Views,
    "shifted-views-gap": lambda: Views(momentum=1e-4),
    "double-softmax": lambda: nn.Sequential(*network(), nn.Softmax(1)),
    "probabilities": lambda: nn.Sequential(*network(), nn.Softmax(1)),
    "eval-mode-training": lambda: network(nn.BatchNorm1d(64), nn.Dropout(0.5)).eval(),
    "eval-mode-later": lambda: network(nn.BatchNorm1d(64), nn.Dropout(0.5)),
    "frozen-norm": lambda: network(nn.BatchNorm1d(64), nn.Dropout(0.2)),
    "train-and-eval": lambda: network(nn.BatchNorm1d(64), nn.Dropout(0.2)),
    "detached": Detached,
    "symmetric-initialisation": lambda: initialised(network(), nn.init.constant_, val=0.1),
    "zero-last-layer": network,
    "saturated-tanh": lambda: initialised(network(activation=nn.Tanh), nn.init.normal_, std=5.0),
    "saturated-sigmoid": lambda: initialised(network(activation=nn.Sigmoid), nn.init.normal_, std=8.0),
    "tanh": lambda: network(activation=nn.Tanh),
    "batch-norm-small-batch": lambda: network(nn.BatchNorm1d(64)),
    "batch-norm-train-eval-gap": lambda: network(nn.BatchNorm1d(64, momentum=1e-4)),
    "batch-norm": lambda: network(nn.BatchNorm1d(64)),
    "other-data": lambda: network(nn.BatchNorm1d(64)),
    "same-data": lambda: network(nn.BatchNorm1d(64)),
    "batch-norm-reused": lambda: Reusing(own=False),
    "two-batch-norms": lambda: Reusing(own=True),
    "half-precision-overflow": lambda: network().half(),
    "half-precision": lambda: network().half(),
}
model = models.get(kind, network)()
if kind in ("zero-last-layer", "codes-then-classes"):
    nn.init.zeros_(model[-1].weight)
if kind == "codes-then-classes":
    nn.init.zeros_(model[-1].bias)
if kind == "frozen-norm":
    model[1].eval().requires_grad_(False)
if kind == "frozen-backbone":
    model[0].requires_grad_(False)
target = network() if kind == "target-network" else model  # without drawing numbers in the other trainings
trained = model[-1].parameters() if kind in ("forgotten", "unfreezing") else [p for p in model.parameters() if p.requires_grad]
decay = {"weight-decay-too-strong": 1.0, "weight-decay": 5e-4}.get(kind, 0.0)
rate = 30.0 if kind.startswith("learning-rate-too-high") or kind == "student-of-lost" else 0.05
optimizer = torch.optim.SGD(trained, lr=rate, momentum=0.9, weight_decay=decay)
if kind == "adamw-decay":
    optimizer = torch.optim.AdamW(trained, lr=3e-3, weight_decay=10.0)
losses: list[float] = []
for step in range(STEPS):
    for part in range(4 if kind.startswith("accumulation") else 1):
        x, y = batch(2 if kind == "batch-norm-small-batch" else 32)
        x = x.half() if kind.startswith("half") else 2 * x + 2 if "gap" in kind else x
        if kind == "loss-spike-batch" and step == 40:
            x = 100 * x
        if kind == "accumulation-overflow" and step == 40 and part == 3:
            x = 3e38 * x.sign()  # finite, and what the first layer makes of it is not
        if kind == "loss-spike-rate":
            optimizer.param_groups[0]["lr"] = 3.0 if step == 40 else 0.05
        if kind != "missing-zero-grad" and part == 0:
            optimizer.zero_grad()
        output = model(x).float()
        loss = F.nll_loss(output.log(), y) if kind == "probabilities" else F.cross_entropy(output, y)
        if kind == "codes-then-classes":
            loss = F.mse_loss(output, 1e-3 * x[:, :5])
        if kind == "target-network":  # a copy that is not detached: its gradient is nobody's
            target.load_state_dict(model.state_dict()) if step % 20 == 0 else None
            loss = loss + 0.01 * F.mse_loss(output, 0.9 * target(x))
        scale = 2.0**24 if kind == "half-precision-overflow" and step > 30 else 1.0
        (scale * loss).backward()
        for parameter in model.parameters() if scale > 1 else ():
            parameter.grad /= scale
    optimizer.step()
    losses.append(float(loss))
    if kind.endswith("killed") and not losses[0] * 1000 > losses[max(step - 1, 0)]:  # one step after it was lost
        os.kill(os.getpid(), signal.SIGKILL)
    if kind in ("other-data", "same-data") and step % 20 == 19:
        model.eval()
        with torch.no_grad():
            model(batch(64)[0] * (3.0 if kind == "other-data" else 1.0) + (1.0 if kind == "other-data" else 0.0))
        model.train()
    if kind in ("eval-mode-later", "train-and-eval") and step % 20 == 19:
        model.eval()
        with torch.no_grad():
            model(batch()[0])
        if kind == "train-and-eval":
            model.train()
if kind in ("unfreezing", "temperature"):
    # All weights with an optimizer of their own, where only the last layer was trained; or one more number for the same answers.
    temperature = nn.Parameter(torch.ones(1))
    second = torch.optim.Adam(model.parameters() if kind == "unfreezing" else [temperature], lr=1e-4)
    for _ in range(STEPS):
        x, y = batch()
        second.zero_grad()
        F.cross_entropy(model(x) / (temperature if kind == "temperature" else 1.0), y).backward()
        second.step()
if kind == "pretraining":
    # What was trained before goes on below a last layer of its own.
    model[-1] = nn.Linear(64, 5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(STEPS):
        x, y = batch()
        optimizer.zero_grad()
        F.cross_entropy(nn.Sequential(*model)(x), y).backward()
        optimizer.step()
if kind == "codes-then-classes":
    # A squared error of small numbers, and another network for the classes.
    classifier = network()
    optimizer = torch.optim.SGD(classifier.parameters(), lr=0.05, momentum=0.9)
    for _ in range(STEPS):
        x, y = batch()
        optimizer.zero_grad()
        F.cross_entropy(classifier(x), y).backward()
        optimizer.step()
if kind.startswith("student"):
    # Another network behind it, with an optimizer of its own.
    student = network()
    optimizer = torch.optim.SGD(student.parameters(), lr=0.05)
    for _ in range(STEPS):
        x, _y = batch()
        with torch.no_grad():
            taught = model(x).softmax(1)
        answer = student(x).softmax(1) if kind == "student-of-probabilities" else student(x).log_softmax(1)
        optimizer.zero_grad()
        F.kl_div(answer, taught, reduction="batchmean").backward()
        optimizer.step()
