"""Sparse gradients of an embedding and an embedding bag, beside a dense layer with an optimizer of its own."""

import torch
from common import digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 5, sparse=True)
        self.bag = nn.EmbeddingBag(20, 5, sparse=True)
        self.head = nn.Linear(5, 3)

    def forward(self, tokens):
        return self.head(self.embedding(tokens).mean(1) + self.bag(tokens))


model = Net()
sparse = torch.optim.SparseAdam([model.embedding.weight, model.bag.weight], lr=0.01)
dense = torch.optim.SGD(model.head.parameters(), lr=0.1)
for _ in range(4):
    tokens, y = torch.randint(20, (4, 6)), torch.randint(3, (4,))
    sparse.zero_grad()
    dense.zero_grad()
    loss = F.cross_entropy(model(tokens), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    sparse.step()
    dense.step()
digest(model)
