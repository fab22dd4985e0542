"""A small network learns from a larger one; the divergence is given probabilities where it takes log-probabilities."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(64, width)
        self.fc2 = nn.Linear(width, width)
        self.fc3 = nn.Linear(width, 10)

    def forward(self, x):
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class SoftTarget(nn.Module):
    def __init__(self, temperature=4.0):
        super().__init__()
        self.T = temperature

    def forward(self, out_s, out_t):
        student = F.log_softmax(out_s / self.T, dim=1) if args.fixed else F.softmax(out_s / self.T, dim=1)
        return F.kl_div(student, F.softmax(out_t / self.T, dim=1), reduction="batchmean") * self.T**2


digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32) / 16
y = torch.tensor(digits.target)


def accuracy(net):
    with torch.no_grad():
        return (net(x[1400:]).argmax(1) == y[1400:]).float().mean().item()


teacher = Net(128)
optimizer = torch.optim.Adam(teacher.parameters(), lr=1e-3)
for _ in range(400):
    batch = torch.randint(0, 1400, (64,))
    optimizer.zero_grad()
    F.cross_entropy(teacher(x[batch]), y[batch]).backward()
    optimizer.step()
print("teacher", accuracy(teacher), flush=True)
teacher.eval()

student, criterion = Net(16), SoftTarget()
optimizer = torch.optim.SGD(student.parameters(), lr=0.02, momentum=0.9)
for step in range(600):
    batch = torch.randint(0, 1400, (64,))
    with torch.no_grad():
        out_t = teacher(x[batch])
    loss = criterion(student(x[batch]), out_t)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(step, f"loss {loss.item():.4f} accuracy {accuracy(student):.3f}", flush=True)
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy(student):.3f}")
