"""Digits with some wrong labels, dropout against learning them by heart; it does that in the first epoch only."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)

digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32) / 16
y = torch.tensor(digits.target)
x_train, y_train, x_val, y_val = x[:700], y[:700].clone(), x[700:], y[700:]
wrong = torch.rand(700) < 0.3
y_train[wrong] = torch.randint(0, 10, (int(wrong.sum()),))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc1 = nn.Linear(64, 400)
        self.enc2 = nn.Linear(400, 400)
        self.dropout = nn.Dropout(0.6)
        self.out = nn.Linear(400, 10)

    def forward(self, x):
        x = self.dropout(F.relu(self.enc1(x)))
        x = self.dropout(F.relu(self.enc2(x)))
        return self.out(x)


def evaluate(model):
    model.eval()
    with torch.no_grad():
        out = model(x_val)
    return F.cross_entropy(out, y_val).item(), (out.argmax(1) == y_val).float().mean().item()


model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
model.train()
for epoch in range(40):
    total = 0.0
    for batch in torch.randperm(700).split(50):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x_train[batch]), y_train[batch])
        loss.backward()
        optimizer.step()
        total += loss.item() / 14
    val_loss, accuracy = evaluate(model)
    if args.fixed:
        model.train()
    if epoch % 8 == 7:
        print(epoch, f"train {total:.4f} val {val_loss:.4f} accuracy {accuracy:.3f}", flush=True)
print(f"RESULT train loss {total:.4f} val loss {val_loss:.4f} accuracy {accuracy:.3f}")
