"""Few labels and a mean teacher: the teacher has no gradient, it follows the student slowly."""

import argparse
import copy

import digits
import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Student(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, padding=1)
        self.fc = nn.Linear(16 * 16, 64)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv(x)), 2)
        return self.head(F.relu(self.fc(x.flatten(1))))


images, labels = digits.load()
known, unknown = torch.arange(200), torch.arange(200, 1400)
student = Student().to(device)
teacher = copy.deepcopy(student).requires_grad_(False)
optimizer = torch.optim.SGD(student.parameters(), lr=0.05, momentum=0.9, nesterov=True)

for step in range(180):
    mine = known[torch.randint(len(known), (24,))]
    others = unknown[torch.randint(len(unknown), (40,))]
    noisy, clean = ((images[others] + 0.3 * torch.randn(len(others), 1, 8, 8)).to(device) for _ in range(2))
    with torch.no_grad():
        wanted = teacher(clean).softmax(1)
    loss = F.cross_entropy(student(images[mine].to(device)), labels[mine].to(device))
    loss = loss + min(1.0, step / 80) * 5 * F.mse_loss(student(noisy).softmax(1), wanted)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
            slow.lerp_(fast, 0.05)
    if step % 30 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

with torch.no_grad():
    right = teacher(images[1400:].to(device)).argmax(1).cpu() == labels[1400:]
print(f"accuracy of the teacher {right.float().mean().item():.3f}")
