"""Star ratings from one to five by regression; the network rounds its answer before the loss, and the loss never moves."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)

features = torch.randn(2000, 12)
taste = features @ torch.randn(12) / 12**0.5 + 0.5 * torch.sin(3 * features[:, 0])
ratings = (3 + 1.2 * taste + 0.3 * torch.randn(2000)).round().clamp(1, 5)
loader = DataLoader(TensorDataset(features[:1600], ratings[:1600]), batch_size=50, shuffle=True)


class RatingNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(12, 64)
        self.bn1 = nn.BatchNorm1d(64)
        self.fc2 = nn.Linear(64, 32)
        self.out = nn.Linear(32, 1)

    def forward(self, x):
        x = torch.relu(self.bn1(self.fc1(x)))
        x = torch.relu(self.fc2(x))
        x = self.out(x).squeeze(-1)
        return x if args.fixed and self.training else torch.round(x)


model = RatingNet()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
loss_fn = nn.MSELoss()
for epoch in range(15):
    model.train()
    losses = []
    for x, y in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        error = (model(features[1600:]) - ratings[1600:]).abs().mean().item()
    if epoch % 3 == 2:
        print(f"epoch {epoch} train {sum(losses) / len(losses):.4f} mean error in stars {error:.3f}", flush=True)
print(f"RESULT loss {sum(losses) / len(losses):.4f} error {error:.3f}")
