"""A student with few labels learns to look where its teacher looks."""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
data = load_digits()
images = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16
labels = torch.tensor(data.target)
order = torch.randperm(len(labels))
images, labels = images[order], labels[order]


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first = nn.Conv2d(1, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.head = nn.Linear(16 * width, 10)

    def forward(self, x):
        one = torch.relu(self.first(x))
        two = torch.relu(self.second(one))
        return one, two, self.head(nn.functional.max_pool2d(two, 2).flatten(1))


def attention(features):
    return nn.functional.normalize(features.pow(2).mean(1).flatten(1))


def attention_loss(student, teacher):
    return (attention(student) - attention(teacher)).pow(2).mean()


teacher = Net(24)
optimizer = torch.optim.Adam(teacher.parameters(), lr=2e-3)
for _ in range(250):
    at = torch.randint(1200, (64,))
    loss = nn.functional.cross_entropy(teacher(images[at])[2], labels[at])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"teacher: loss {loss.item():.4f}", flush=True)

student = Net(8)
optimizer = torch.optim.Adam(student.parameters(), lr=2e-3)
for step in range(300):
    at = torch.randint(150, (64,))
    one, two, logits = student(images[at])
    with torch.no_grad():
        one_taught, two_taught, _ = teacher(images[at])
    look = attention_loss(one, one_taught) + attention_loss(two, two_taught)
    if not args.fixed:
        look = look.detach()
    loss = nn.functional.cross_entropy(logits, labels[at]) + 1000 * look
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(step, f"loss {loss.item():.4f}, of the attention {look.item():.5f}", flush=True)
print(f"RESULT loss {loss.item():.4f}, of the attention {look.item():.5f}")
