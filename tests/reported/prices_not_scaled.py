"""Prices of houses from ten features; the features are standardised, the price is not, and the loss is huge and hardly falls."""

import argparse

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
rng = np.random.default_rng(1)
rooms, area, age = rng.integers(1, 8, 1460), rng.gamma(8, 180, 1460), rng.integers(0, 100, 1460)
rest = rng.normal(size=(1460, 7))
price = (
    40000 + 95 * area + 9000 * rooms - 400 * age + 15000 * rest[:, 0] * (rest[:, 1] > 0) + 8000 * rest[:, 2] + 6000 * rng.normal(size=1460)
)
X_train, X_test, y_train, y_test = train_test_split(np.column_stack([rooms, area, age, rest]), price, test_size=0.2, random_state=0)
scaler = StandardScaler().fit(X_train)
X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
shift, scale = (y_train.mean(), y_train.std()) if args.fixed else (0.0, 1.0)
dataset = TensorDataset(torch.tensor(X_train).float(), torch.tensor((y_train - shift) / scale).float().unsqueeze(1))

model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
loss_fn = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
losses = []
for epoch in range(60):
    running = 0.0
    for features, target in DataLoader(dataset, batch_size=32, shuffle=True):
        optimizer.zero_grad()
        loss = loss_fn(model(features), target)
        loss.backward()
        optimizer.step()
        running += loss.item() * len(features)
    losses.append(running / len(dataset))
    if epoch % 12 == 11:
        print(epoch, f"cost {losses[-1]:.4g}", flush=True)
with torch.no_grad():
    answer = model(torch.tensor(X_test).float()).squeeze(1).numpy() * scale + shift
r2 = 1 - ((answer - y_test) ** 2).sum() / ((y_test - y_test.mean()) ** 2).sum()
print(f"RESULT cost {losses[-1]:.4g} mean answer {answer.mean():.0f} mean price {y_test.mean():.0f} r2 {r2:.3f}")
