"""Memory that the script resizes: batches and labels in buffers that grow with ``out=``, activations that are freed by their storage."""

import torch
from common import digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(6, 8)
        self.norm = nn.BatchNorm1d(8)
        self.act = nn.ReLU()
        self.head = nn.Linear(8, 3)
        self.activations = []

    def forward(self, x):
        stem = self.stem(x)
        norm = self.norm(stem)
        act = self.act(norm)
        self.activations = [stem, norm, act]
        return self.head(act)


model = Net().double()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y, logits = torch.empty(0, dtype=torch.float64), torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.float64)
for n in (4, 8, 64):
    torch.randn(n, 6, out=x.resize_(0), dtype=torch.float64)
    torch.randint(3, (n,), out=y.resize_(0))
    optimizer.zero_grad()
    output = model(x)
    torch.mul(output.detach(), 2.0, out=logits.resize_(0))
    loss = F.cross_entropy(output, y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
    for activation in model.activations:
        activation.untyped_storage().resize_(0)
    for buffer in (model.norm.running_mean, model.norm.running_var):
        buffer.untyped_storage().resize_(2 * buffer.untyped_storage().size())
digest(model)
