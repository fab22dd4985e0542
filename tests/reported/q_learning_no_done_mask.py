"""Deep Q-learning on a corridor with a goal and a pit; the end of an episode is stored and never used in the target."""

import argparse
import copy
import random
from collections import deque

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
random.seed(0)
LENGTH, GAMMA = 9, 0.97


class QNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(LENGTH, 64)
        self.fc2 = nn.Linear(64, 64)
        self.value = nn.Linear(64, 1)
        self.advantage = nn.Linear(64, 2)

    def forward(self, x):
        x = torch.relu(self.fc2(torch.relu(self.fc1(x))))
        advantage = self.advantage(x)
        return self.value(x) + advantage - advantage.mean(1, keepdim=True)


def step(place, action):
    """A step to either side; place 0 is a pit that ends it with -1, the last place a goal that ends it with 1."""
    place += 1 if action == 1 else -1
    ended = place in (0, LENGTH - 1)
    return place, {0: -1.0, LENGTH - 1: 1.0}.get(place, -0.02), ended


eye = torch.eye(LENGTH)
network = QNetwork()
target_network = copy.deepcopy(network)
optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
memory = deque(maxlen=3000)
place, lengths, length, updates, good = 4, [], 0, 0, []
for t in range(5000):
    epsilon = max(0.1, 1 - t / 2000)
    with torch.no_grad():
        action = random.randrange(2) if random.random() < epsilon else int(network(eye[place : place + 1]).argmax())
    following, reward, done = step(place, action)
    length += 1
    memory.append((place, action, reward, following, float(done)))
    place = following
    if done or length >= 60:
        good.append(place == LENGTH - 1)
        place, length = 4, 0
    if t > 200 and t % 2 == 0:
        s, a, r, s2, d = (torch.tensor(column) for column in zip(*random.sample(memory, 64), strict=True))
        q = network(eye[s]).gather(1, a[:, None]).squeeze(1)
        with torch.no_grad():
            bootstrap = target_network(eye[s2]).max(1).values
            target = r + GAMMA * bootstrap * ((1 - d) if args.fixed else 1.0)
        loss = nn.functional.smooth_l1_loss(q, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        updates += 1
        if updates % 50 == 0:
            target_network.load_state_dict(network.state_dict())
        if updates % 400 == 0:
            print(t, f"loss {loss.item():.4f} mean Q {q.mean().item():.3f}", flush=True)
with torch.no_grad():
    print(
        f"RESULT loss {loss.item():.4f} largest Q {network(eye[1:-1]).max().item():.3f} goals among the last 50 episodes {sum(good[-50:])}"
    )
