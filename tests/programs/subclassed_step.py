"""An optimizer whose step calls its parent's: one step, not two."""

import torch
from common import batches, digest, say_loss, say_norms, say_rates, small_network
from torch.nn import functional as F


class Decayed(torch.optim.SGD):
    def step(self, closure=None):
        result = super().step(closure)
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    p.mul_(0.99)
        return result


model = small_network()
optimizer = Decayed(model.parameters(), lr=0.1)
for x, y in batches(4):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    say_rates(optimizer)
    before = model[0].weight.detach().clone()
    optimizer.step()
    print("moved", float((model[0].weight.detach() - before).double().norm()))
digest(model)
