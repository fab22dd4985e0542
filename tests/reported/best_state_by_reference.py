"""Training keeps the best weights by the held-out loss and loads them at the end; what it loads is the last epoch."""

import argparse
import copy

import torch
import torch.nn.functional as F
from sklearn.datasets import load_diabetes
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)

x, y = load_diabetes(return_X_y=True)
x = torch.tensor(x / x.std(0), dtype=torch.float32)
y = torch.tensor((y - y.mean()) / y.std(), dtype=torch.float32)
order = torch.randperm(len(x))
train, held_out = order[:300], order[300:]


class Affinity(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.head = nn.Linear(64, 1)

    def forward(self, features):
        return self.head(self.encoder(features)).squeeze(1)


model = Affinity()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
best_loss, best_model_wts = float("inf"), model.state_dict()
for epoch in range(60):
    model.train()
    for batch in train[torch.randperm(len(train))].split(30):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x[batch]), y[batch])
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        val = F.mse_loss(model(x[held_out]), y[held_out]).item()
    if val < best_loss:
        best_loss, best_epoch = val, epoch
        best_model_wts = copy.deepcopy(model.state_dict()) if args.fixed else model.state_dict()
    if epoch % 10 == 9:
        print(epoch, f"train {loss.item():.4f} val {val:.4f}", flush=True)
model.load_state_dict(best_model_wts)
with torch.no_grad():
    final = F.mse_loss(model(x[held_out]), y[held_out]).item()
print(f"RESULT best val {best_loss:.4f} in epoch {best_epoch}, val of the weights kept {final:.4f}")
