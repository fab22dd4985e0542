"""A first network for digits, sigmoid throughout and the squared error; its answer is a tenth for every digit."""

import argparse

import torch
from sklearn.datasets import load_digits

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32) / 16
labels = torch.tensor(digits.target)
wanted = torch.eye(10)[labels]


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer1 = torch.nn.Linear(64, 200)
        self.layer2 = torch.nn.Linear(200, 10)

    def forward(self, x):
        x = torch.sigmoid(self.layer1(x))
        x = torch.sigmoid(self.layer2(x))
        return x


net = Net()
loss_function = torch.nn.MSELoss()
optimizer = torch.optim.SGD(net.parameters(), lr=8.0 if args.fixed else 0.001)
for epoch in range(40):
    total = 0.0
    for batch in torch.randperm(1400).split(28):
        optimizer.zero_grad()
        output = net(torch.flatten(images[batch], 1))
        loss = loss_function(output, wanted[batch])
        loss.backward()
        optimizer.step()
        total += loss.item() / 50
    if epoch % 8 == 7:
        print(epoch, f"loss {total:.5f}", flush=True)
with torch.no_grad():
    output = net(torch.flatten(images[1400:], 1))
accuracy = (output.argmax(1) == labels[1400:]).float().mean().item()
print(f"RESULT loss {total:.4f} accuracy {accuracy:.3f} largest answer {output.max(1).values.mean().item():.3f}")
