"""Deep Q-learning on a row of cells; the loss comes down to nothing, and the walker turns round for the small prize."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
CELLS, GAMMA = 12, 0.9


def move(cell, action):
    cell = cell + 2 * action - 1
    reward = torch.where(cell == CELLS - 1, 1.0, torch.where(cell == 0, 0.1, 0.0))
    return cell, reward, (cell == 0) | (cell == CELLS - 1)


class QNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(CELLS, 48)
        self.fc2 = nn.Linear(48, 2)

    def forward(self, cell):
        return self.fc2(F.relu(self.fc1(F.one_hot(cell, CELLS).float())))


class Policy:
    def __init__(self):
        self.eval_net, self.target_net = QNet(), QNet()
        self.target_net.load_state_dict(self.eval_net.state_dict())
        self.optimizer = torch.optim.Adam(self.eval_net.parameters(), lr=3e-3)

    def learn(self, step):
        if step % 40 == 0:
            source = self.eval_net if args.fixed else self.target_net
            self.target_net.load_state_dict(source.state_dict())
        cell, action = torch.randint(1, CELLS - 1, (64,)), torch.randint(0, 2, (64,))
        after, reward, done = move(cell, action)
        with torch.no_grad():
            target = reward + GAMMA * self.target_net(after).max(1).values * ~done
        loss = F.smooth_l1_loss(self.eval_net(cell).gather(1, action.unsqueeze(1)).squeeze(1), target)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


policy = Policy()
for step in range(2000):
    loss = policy.learn(step)
    if step % 400 == 399:
        print(step, f"loss {loss:.6f}", flush=True)
prizes = []
for start in range(1, CELLS - 1):
    cell, prize = torch.tensor([start]), 0.0
    for _ in range(30):
        with torch.no_grad():
            cell, reward, done = move(cell, policy.eval_net(cell).argmax(1))
        prize += reward.item()
        if done:
            break
    prizes.append(prize)
print(f"RESULT loss {loss:.6f} mean prize {sum(prizes) / len(prizes):.3f}")
