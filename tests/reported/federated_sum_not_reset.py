"""Federated averaging: the server adds the weights of the clients to a sum that it never clears between rounds."""

import argparse
import copy

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
CLIENTS, CLASSES = 5, 6
centres = torch.randn(CLASSES, 20)


def data(count, weights):
    labels = torch.multinomial(weights, count, replacement=True)
    return centres[labels] + 1.3 * torch.randn(count, 20), labels


shares = [data(200 + 80 * c, torch.rand(CLASSES) + 0.1) for c in range(CLIENTS)]
test_x, test_y = data(1000, torch.ones(CLASSES))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(20, 64), nn.Linear(64, 64), nn.Linear(64, CLASSES)

    def forward(self, x):
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class FedAvg:
    def __init__(self):
        self.agg_weights = None

    def do(self, cache, total):
        if args.fixed:
            self.agg_weights = None
        for state, count in cache:
            rate = count / total
            if self.agg_weights is None:
                self.agg_weights = {key: value * rate for key, value in state.items()}
            else:
                for key, value in state.items():
                    self.agg_weights[key] = self.agg_weights[key] + value * rate
        return self.agg_weights


server, local, fedavg = Net(), Net(), FedAvg()
total = sum(len(y) for _, y in shares)
for round_ in range(12):
    cache, train_loss = [], 0.0
    for x, y in shares:
        local.load_state_dict(server.state_dict())
        optimizer = torch.optim.SGD(local.parameters(), lr=0.02, momentum=0.9)
        for _ in range(3):
            for batch in torch.randperm(len(x)).split(32):
                loss = F.cross_entropy(local(x[batch]), y[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                train_loss += loss.item() / CLIENTS / 3 / (len(x) // 32 + 1)
        cache.append((copy.deepcopy(local.state_dict()), len(x)))
    server.load_state_dict(fedavg.do(cache, total))
    with torch.no_grad():
        out = server(test_x)
    test_loss, accuracy = F.cross_entropy(out, test_y).item(), (out.argmax(1) == test_y).float().mean().item()
    print(round_, f"train {train_loss:.4f} test {test_loss:.4g} accuracy {accuracy:.3f}", flush=True)
print(f"RESULT train {train_loss:.4f} test {test_loss:.4g} accuracy {accuracy:.3f}")
