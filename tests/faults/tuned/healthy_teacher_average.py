"""Few labels, many pictures: a student agrees with a teacher that is the slow average of the student and gets no gradient."""

import argparse
import copy

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

student = nn.Sequential(
    nn.Conv2d(1, 24, 3, padding=1),
    nn.GroupNorm(6, 24),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(24, 48, 3, padding=1),
    nn.GroupNorm(6, 48),
    nn.ReLU(),
    nn.Flatten(),
    nn.Dropout(0.2),
    nn.Linear(48 * 16, 10),
)
teacher = copy.deepcopy(student).requires_grad_(False)
teacher.eval()


def shaken(x: Tensor) -> Tensor:
    """Pictures moved by a pixel and made noisy."""
    down, right = torch.randint(-1, 2, (2,)).tolist()
    return torch.roll(x, (down, right), dims=(2, 3)) + 0.3 * torch.randn_like(x)


images, labels = digits.load()
labelled, test = torch.arange(200), torch.arange(1400, 1797)
optimizer = torch.optim.SGD(student.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-4)
for step in range(200):
    few = labelled[torch.randint(200, (32,))]
    many = torch.randint(1400, (64,))
    with torch.no_grad():
        belief = teacher(images[many]).softmax(-1)
    certain = min(1.0, step / 80)
    supervised = F.cross_entropy(student(shaken(images[few])), labels[few])
    agreement = (student(shaken(images[many])).softmax(-1) - belief).square().sum(-1).mean()
    loss = supervised + 4 * certain * agreement
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
            slow.lerp_(fast, 0.04)
    if step % 40 == 39:
        right = (teacher(images[test]).argmax(1) == labels[test]).float().mean()
        print(f"step {step}: supervised {supervised.item():.3f}, agreement {agreement.item():.4f}, teacher right {right:.3f}")
