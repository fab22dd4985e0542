"""Small trainings that have one drawback of normalisation each, and their twins that do not: the argument names it."""

import sys

import torch
from torch import nn
from torch.nn import functional as F

kind = sys.argv[1]
torch.manual_seed(0)
torch.set_num_threads(1)
TRUTH, CLASSES = torch.randn(20, 5), 5


def mlp(*norms: nn.Module, width: int = 64) -> nn.Sequential:
    """A hidden layer for each norm, and an output layer."""
    layers: list[nn.Module] = []
    for place, norm in enumerate(norms):
        layers += [nn.Linear(width if place else 20, width), norm, nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, CLASSES))


class Shared(nn.Module):
    """One batch norm, or two, for two layers whose signals differ."""

    def __init__(self, own: bool) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(20, 64), nn.Linear(64, 64), nn.Linear(64, CLASSES)
        self.norm = nn.BatchNorm1d(64)
        self.other = nn.BatchNorm1d(64) if own else self.norm
        nn.init.normal_(self.second.bias, mean=3.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.other(self.second(torch.relu(self.norm(self.first(x)))))))


def dropping(before: bool) -> nn.Sequential:
    """Dropout before a batch norm, or behind it; through a layer of few inputs, so that its variance does not average out."""
    norm, drop = nn.BatchNorm1d(64), nn.Dropout(0.7)
    return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), *((drop, norm) if before else (norm, drop)), nn.Linear(64, CLASSES))


class Functional(nn.Module):
    """Dropout as a function, which no module shows."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.head = nn.Linear(20, 64), nn.BatchNorm1d(64), nn.Linear(64, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(F.dropout(torch.relu(self.first(x)), 0.7, training=self.training)))


class Activating(nn.BatchNorm1d):
    """A norm that holds its activation."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(super().forward(x))


class DroppingActivating(nn.BatchNorm1d):
    """The same with a place for dropout before the activation, and the normalisation as a function, as timm has it."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.drop, self.act = nn.Identity(), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, self.training, self.momentum, self.eps)
        return self.act(self.drop(x))


class LargeOutputs(nn.Module):
    """Outputs of which a large part, that varies from sample to sample, is the same for all classes: the loss does not know of it."""

    def __init__(self, momentum: float) -> None:
        super().__init__()
        self.first, self.norm, self.head = nn.Linear(20, 64), nn.BatchNorm1d(64, momentum=momentum), nn.Linear(65, CLASSES)
        with torch.no_grad():
            self.head.weight[:, 64] = 1000.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat([torch.relu(self.norm(self.first(x))), x[:, :1]], dim=1))


def he(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return model


MODELS = {
    "reused": lambda: Shared(own=False),
    "own-norms": lambda: Shared(own=True),
    "stale": lambda: mlp(nn.BatchNorm1d(64, momentum=1e-4)),
    "dropout-before": lambda: dropping(before=True),
    "dropout-behind": lambda: dropping(before=False),
    "deep-plain": lambda: he(mlp(*(nn.BatchNorm1d(64) for _ in range(20)))),
    "shallow": lambda: he(mlp(*(nn.BatchNorm1d(64) for _ in range(5)))),
    "functional-dropout": lambda: Functional(),
    "group-of-one": lambda: mlp(nn.GroupNorm(64, 64)),
    "small-batch-group-norm": lambda: mlp(nn.GroupNorm(4, 64)),
    "norm-upon-norm": lambda: nn.Sequential(nn.Linear(20, 64), *(nn.BatchNorm1d(64) for _ in range(6)), nn.Linear(64, CLASSES)),
    "wide": lambda: nn.Sequential(nn.Linear(20, 1024), nn.Linear(1024, 1024), nn.BatchNorm1d(1024), nn.Linear(1024, CLASSES)),
    "layer-norm": lambda: mlp(nn.LayerNorm(64), nn.LayerNorm(64)),
    "activating": lambda: mlp(Activating(64)),
    "dropping-activating": lambda: mlp(DroppingActivating(64)),
    "stale-large-outputs": lambda: LargeOutputs(momentum=1e-4),
    "large-outputs": lambda: LargeOutputs(momentum=0.1),
    "none": lambda: mlp(nn.Identity()),
}
model = MODELS.get(kind, lambda: mlp(nn.BatchNorm1d(64)))()
if kind == "idle":
    model[0].requires_grad_(False)  # what its norm receives is as it was at the start
decayed = kind in ("decayed", "decayed-adam")
trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
optimizer: torch.optim.Optimizer = torch.optim.SGD(trained, lr=0.05, momentum=0.9, weight_decay=0.02 if decayed else 0.0)
if kind == "decayed-adam":
    optimizer = torch.optim.Adam(trained, lr=1e-3, weight_decay=0.02)
size = {"small-batch": 4, "small-batch-group-norm": 4, "deep-plain": 64, "shallow": 64}.get(kind, 128)
data = torch.randn(4000, 20)
data = 2 * data + 2 if kind.startswith("stale") else data
labels = ((data - data.mean(0)) @ TRUTH).argmax(1)
by_class = [(labels == one).nonzero().flatten() for one in range(CLASSES)]
for step in range(60):
    chosen = by_class[step * 7 % CLASSES] if kind == "one-class-batches" else torch.arange(4000)
    batch = chosen[torch.randint(len(chosen), (size,))]
    optimizer.zero_grad()
    F.cross_entropy(model(data[batch]), labels[batch]).backward()
    optimizer.step()
    if step % 20 == 19:
        model.eval()
        with torch.no_grad():
            model(data[torch.randint(4000, (128,))])
        model.train()
