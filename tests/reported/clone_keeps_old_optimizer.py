"""A classifier object is cloned for a second training; the clone took over the optimizer too, and does not learn."""

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


class Classifier:
    def __init__(self, model, optimizer):
        self.model, self.optimizer = model, optimizer

    def fit(self, x, y, epochs=12):
        for epoch in range(epochs):
            for batch in torch.randperm(len(x)).split(50):
                self.optimizer.zero_grad()
                loss = F.cross_entropy(self.model(x[batch]), y[batch])
                loss.backward()
                self.optimizer.step()
            if epoch % 3 == 2:
                print(epoch, f"loss {loss.item():.4f}", flush=True)
        return loss.item()

    def clone(self):
        model = copy.deepcopy(self.model)
        for layer in model:
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
        if args.fixed:
            return Classifier(model, torch.optim.Adam(model.parameters(), **self.optimizer.defaults))
        return Classifier(model, self.optimizer)


digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32) / 8 - 1
y = torch.tensor(digits.target)
net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
template = Classifier(net, torch.optim.Adam(net.parameters(), lr=2e-3))
defended = template.clone()
loss = defended.fit(x[:1400], y[:1400])
with torch.no_grad():
    accuracy = (defended.model(x[1400:]).argmax(1) == y[1400:]).float().mean().item()
print(f"RESULT loss {loss:.4f} accuracy {accuracy:.3f}")
