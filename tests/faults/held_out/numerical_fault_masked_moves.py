"""Policy gradient with an entropy bonus on a board where some columns are full."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

COLUMNS, CELLS = 6, 24


class Entropy(nn.Module):
    def forward(self, probability: Tensor) -> Tensor:
        if args.fixed:
            return torch.special.entr(probability.clamp(min=1e-8)).sum(1)
        return -(probability * probability.log()).sum(1)


class Actor(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(CELLS + COLUMNS, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.move = nn.Linear(64, COLUMNS)
        self.choose = nn.Softmax(dim=1)
        self.entropy = Entropy()

    def forward(self, board: Tensor, full: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.move(self.body(torch.cat([board, full.float()], 1)))
        probability = self.choose(logits.masked_fill(full, -1e9))
        return probability, self.entropy(probability)


value = torch.randn(CELLS, COLUMNS)


def boards(size: int, filling: float) -> tuple[Tensor, Tensor]:
    full = torch.rand(size, COLUMNS) < filling
    full[:, 0] = False
    return torch.randint(-1, 2, (size, CELLS)).float(), full


model = Actor()
optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)
rewards = []
for step in range(240):
    board, full = boards(128, 0.0 if step < 40 else 0.2)
    probability, entropy = model(board, full)
    move = torch.multinomial(probability.detach().nan_to_num(1.0) + 1e-12, 1).squeeze(1)
    reward = (board @ value).gather(1, move[:, None]).squeeze(1) / 4
    chosen = probability.gather(1, move[:, None]).squeeze(1)
    loss = -((reward - reward.mean()) * (chosen + 1e-6).log()).mean() - 0.01 * entropy.mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    rewards.append(reward.mean().item())
    if step % 20 == 0:
        print(f"step {step}: loss {loss.item():.4f} reward {rewards[-1]:.3f}")
final = sum(rewards[-20:]) / 20
print(f"final reward {final:.4f}")
