"""Papers are sorted by what they cite; messages are added up over all neighbours, and some papers have hundreds."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
NODES, FIELDS, WORDS = 1200, 4, 40
field = torch.randint(0, FIELDS, (NODES,))
topic = torch.rand(FIELDS, WORDS)
words = (torch.rand(NODES, WORDS) < 0.35 * topic[field]).float()
fame = torch.distributions.Pareto(1.0, 0.9).sample((NODES,)).clamp(max=400)
source = torch.arange(NODES).repeat_interleave(8)
cited = torch.multinomial(fame, len(source), replacement=True)
keep = (field[source] == field[cited]) | (torch.rand(len(source)) < 0.3)
edge_index = torch.stack([torch.cat([source[keep], cited[keep]]), torch.cat([cited[keep], source[keep]])])


class GraphConvLayer(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.message = nn.Linear(n_in, n_out)
        self.own = nn.Linear(n_in, n_out)

    def forward(self, h, edge_index):
        start, end = edge_index
        gathered = torch.zeros(len(h), self.message.out_features).index_add(0, end, self.message(h)[start])
        if args.fixed:
            degree = torch.bincount(end, minlength=len(h)).clamp(min=1)
            gathered = gathered / degree[:, None]
        return self.own(h) + gathered


class GNNNodeClassifier(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.conv1 = GraphConvLayer(WORDS, width)
        self.conv2 = GraphConvLayer(width, width)
        self.conv3 = GraphConvLayer(width, FIELDS)

    def forward(self, x, edge_index):
        h = F.relu(self.conv1(x, edge_index))
        h = F.relu(self.conv2(h, edge_index))
        return self.conv3(h, edge_index)


train = torch.rand(NODES) < 0.5
model = GNNNodeClassifier()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(150):
    logits = model(words, edge_index)
    loss = F.cross_entropy(logits[train], field[train])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 30 == 0:
        print(epoch, f"loss {loss.item():.4f}", flush=True)
with torch.no_grad():
    accuracy = (model(words, edge_index).argmax(1) == field)[~train].float().mean().item()
degree = torch.bincount(edge_index[1], minlength=NODES)
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f} largest degree {degree.max().item()}")
