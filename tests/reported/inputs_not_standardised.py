"""Wines from their chemistry, two layers with a sigmoid; the same network learns circles, and here it does not move."""

import argparse

import torch
import torch.nn as nn
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)

x_data, y_data = load_wine(return_X_y=True)
x_data, x_test, y_data, y_test = (torch.tensor(a) for a in train_test_split(x_data, y_data, test_size=0.3, random_state=1))
x_data, x_test = x_data.float(), x_test.float()
if args.fixed:
    mean, std = x_data.mean(0), x_data.std(0)
    x_data, x_test = (x_data - mean) / std, (x_test - mean) / std


class Model(nn.Module):
    def __init__(self, input_size, hidden, output_size):
        super().__init__()
        self.linear = nn.Linear(input_size, hidden)
        self.linear2 = nn.Linear(hidden, output_size)

    def forward(self, x):
        x = torch.sigmoid(self.linear(x))
        return self.linear2(x)


model = Model(13, 24, 3)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for epoch in range(300):
    y_pred = model(x_data)
    loss = criterion(y_pred, y_data)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 60 == 59:
        print(epoch, f"loss {loss.item():.4f}", flush=True)
with torch.no_grad():
    accuracy = (model(x_test).argmax(1) == y_test).float().mean().item()
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f}")
