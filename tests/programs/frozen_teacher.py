"""Distillation from a teacher in training mode under no_grad, and a backbone under no_grad inside the model."""

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch import nn
from torch.nn import functional as F


class Student(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Linear(6, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        with torch.no_grad():
            x = self.backbone(x)
        return self.head(x)


teacher = small_network()
student = Student()
optimizer = torch.optim.SGD(student.parameters(), lr=0.1)  # of the backbone there are no gradients
for x, _ in batches(3):
    with torch.no_grad():
        wanted = teacher(x).softmax(1)
    optimizer.zero_grad()
    loss = F.cross_entropy(student(x), wanted)
    loss.backward()
    say_loss(loss)
    say_norms(student)
    optimizer.step()
digest(student)
