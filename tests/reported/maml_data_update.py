"""A network that learns a sine from five points is learned itself, by gradients through the inner step; it never gets better."""

import argparse
import copy

import torch
from torch import nn
from torch.func import functional_call

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


def sine_task():
    amplitude, phase = torch.rand(1) * 3 + 1, torch.rand(1) * torch.pi
    x = torch.rand(15, 1) * 8 - 4
    y = amplitude * torch.sin(x + phase)
    return x[:5], y[:5], x[5:], y[5:]


class MAML:
    def __init__(self, inner_lr=0.02, outer_lr=2e-3):
        self.model = nn.Sequential(nn.Linear(1, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 1))
        self.inner_lr = inner_lr
        self.criterion = nn.MSELoss()
        self.outer = torch.optim.Adam(self.model.parameters(), lr=outer_lr)

    def query_loss(self, support_x, support_y, query_x, query_y):
        if args.fixed:
            weights = dict(self.model.named_parameters())
            loss = self.criterion(functional_call(self.model, weights, support_x), support_y)
            grads = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
            moved = {name: w - self.inner_lr * g for (name, w), g in zip(weights.items(), grads, strict=True)}
            return self.criterion(functional_call(self.model, moved, query_x), query_y)
        adapted = copy.deepcopy(self.model)
        loss = self.criterion(adapted(support_x), support_y)
        grads = torch.autograd.grad(loss, adapted.parameters(), create_graph=True)
        for param, grad in zip(adapted.parameters(), grads, strict=True):
            param.data -= self.inner_lr * grad
        return self.criterion(adapted(query_x), query_y)

    def train_step(self, tasks=5):
        self.outer.zero_grad()
        meta_loss = sum(self.query_loss(*sine_task()) for _ in range(tasks)) / tasks
        meta_loss.backward()
        self.outer.step()
        return meta_loss.item()


maml = MAML()
losses = []
for step in range(300):
    losses.append(maml.train_step())
    if step % 60 == 59:
        print(step, f"meta loss {sum(losses[-50:]) / 50:.4f}", flush=True)
print(f"RESULT meta loss {sum(losses[-50:]) / 50:.4f} at first {sum(losses[:50]) / 50:.4f}")
