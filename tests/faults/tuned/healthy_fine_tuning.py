"""Fine-tuning: a trained backbone is frozen, in evaluation mode, and only a new head learns."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Net(nn.Module):
    def __init__(self, classes: int):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
        )
        self.head = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x))


images, labels = digits.load()
small = labels < 5
# Stands for a checkpoint from elsewhere: statistics and filters made for this kind of image.
pretrained = Net(5).to(device)
with torch.no_grad():
    for _ in range(60):
        pretrained(images[small][torch.randint(int(small.sum()), (64,))].to(device))
torch.save(pretrained.state_dict(), "pretrained.pt")

model = Net(5).to(device)
model.load_state_dict(torch.load("pretrained.pt"))
model.head = nn.Linear(128, 10).to(device)
for parameter in model.backbone.parameters():
    parameter.requires_grad = False
loader = DataLoader(TensorDataset(images, labels), batch_size=64, shuffle=True, drop_last=True)
optimizer = torch.optim.Adam(model.head.parameters(), lr=1e-2)
for epoch in range(4):
    model.train()
    model.backbone.eval()
    for x, y in loader:
        loss = F.cross_entropy(model(x.to(device)), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.4f}")
