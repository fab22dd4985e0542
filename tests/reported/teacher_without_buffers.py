"""Few labels, a student and a teacher that follows it slowly; the teacher ends at a guess and drags its student along."""

import argparse
import copy

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


def make_net():
    return nn.Sequential(
        nn.Linear(64, 128),
        nn.BatchNorm1d(128),
        nn.ReLU(),
        nn.Linear(128, 128),
        nn.BatchNorm1d(128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


class MomentumUpdater:
    def __init__(self, tau):
        self.tau = tau

    @torch.no_grad()
    def update(self, online_net, momentum_net):
        for op, mp in zip(online_net.parameters(), momentum_net.parameters(), strict=True):
            mp.mul_(self.tau).add_(op, alpha=1 - self.tau)
        if args.fixed:
            for ob, mb in zip(online_net.buffers(), momentum_net.buffers(), strict=True):
                mb.copy_(ob)


digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32)
y = torch.tensor(digits.target)
labelled, unlabelled, held_out = torch.arange(200), torch.arange(200, 1400), torch.arange(1400, len(x))
student = make_net()
teacher = copy.deepcopy(student).requires_grad_(False)
teacher.eval()
updater = MomentumUpdater(0.98)
optimizer = torch.optim.Adam(student.parameters(), lr=1e-3)
for step in range(700):
    student.train()
    a, b = labelled[torch.randint(0, 200, (40,))], unlabelled[torch.randint(0, 1200, (80,))]
    with torch.no_grad():
        wanted = teacher(x[b]).softmax(1)
    out = student(torch.cat([x[a], x[b] + torch.randn(80, 64)]))
    supervised = F.cross_entropy(out[:40], y[a])
    consistency = F.mse_loss(out[40:].softmax(1), wanted)
    optimizer.zero_grad()
    (supervised + 2 * min(1, step / 300) * consistency).backward()
    optimizer.step()
    updater.update(student, teacher)
    if step % 140 == 139:
        print(step, f"supervised {supervised.item():.4f} consistency {consistency.item():.4f}", flush=True)
student.eval()
with torch.no_grad():
    scores = [(net(x[held_out]).argmax(1) == y[held_out]).float().mean().item() for net in (student, teacher)]
print(f"RESULT consistency {consistency.item():.4f} student {scores[0]:.3f} teacher {scores[1]:.3f}")
