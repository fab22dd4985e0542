"""Every layer is initialised with one constant so that runs can be compared; the network never does better than one unit could."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_wine
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


def weights_init(m):
    if isinstance(m, nn.Linear):
        if args.fixed:
            nn.init.xavier_uniform_(m.weight)
        else:
            nn.init.constant_(m.weight, 0.1)
        nn.init.zeros_(m.bias)


class WineNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(13, 32)
        self.fc2 = nn.Linear(32, 32)
        self.fc3 = nn.Linear(32, 3)
        self.apply(weights_init)

    def forward(self, x):
        return self.fc3(torch.tanh(self.fc2(torch.tanh(self.fc1(x)))))


x, y = load_wine(return_X_y=True)
x = torch.tensor((x - x.mean(0)) / x.std(0), dtype=torch.float32)
y = torch.tensor(y)
order = torch.randperm(len(x))
train, test = order[:130], order[130:]
model = WineNet()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
for epoch in range(60):
    for batch in train[torch.randperm(len(train))].split(26):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x[batch]), y[batch])
        loss.backward()
        optimizer.step()
    if epoch % 10 == 9:
        print(epoch, f"{loss.item():.4f}", flush=True)
with torch.no_grad():
    train_loss = F.cross_entropy(model(x[train]), y[train]).item()
    accuracy = (model(x[test]).argmax(1) == y[test]).float().mean().item()
print(f"RESULT loss {train_loss:.4f} accuracy {accuracy:.3f}")
