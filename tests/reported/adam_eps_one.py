"""Digits by a convolutional network with the options of a training script, among them an epsilon of 1; the weights hardly change."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
parser.add_argument("--learning_rate", type=float, default=1e-3)
parser.add_argument("--adam_beta1", type=float, default=0.9)
parser.add_argument("--adam_beta2", type=float, default=0.999)
parser.add_argument("--opt_epsilon", type=float, default=1.0)
parser.add_argument("--max_number_of_steps", type=int, default=400)
args = parser.parse_args()
torch.manual_seed(0)
digits = load_digits()
data = TensorDataset(torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1, torch.tensor(digits.target))
train, test = random_split(data, [1400, 397])


def build_model():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(512, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def batches(dataset):
    while True:
        yield from DataLoader(dataset, batch_size=32, shuffle=True)


model = build_model()
epsilon = 1e-8 if args.fixed else args.opt_epsilon
optimizer = torch.optim.Adam(model.parameters(), args.learning_rate, (args.adam_beta1, args.adam_beta2), epsilon)
for step, (images, labels) in zip(range(args.max_number_of_steps), batches(train), strict=False):
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 80 == 79:
        print(step, f"loss {loss.item():.4f}", flush=True)
images, labels = next(iter(DataLoader(test, batch_size=397)))
with torch.no_grad():
    accuracy = (model(images).argmax(1) == labels).float().mean().item()
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f}")
