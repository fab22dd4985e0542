"""Weights whose content is swapped with that of other tensors: by the script, by a conversion, by loading."""

import weakref

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch import nn
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step, (x, y) in enumerate(batches(6)):
    if step == 1:
        torch.utils.swap_tensors(model[0].weight, nn.Parameter(torch.full((8, 6), 0.1)))
    torch.__future__.set_swap_module_params_on_conversion(step in (2, 3))
    if step == 2:
        model.double()
    if step == 3:
        model.float()
        model.load_state_dict({name: value / 2 for name, value in model.state_dict().items()})
    if step == 4:
        other = weakref.ref(model[0].weight)
        try:
            torch.utils.swap_tensors(model[0].weight, nn.Parameter(torch.zeros(8, 6)))
        except RuntimeError as refusal:
            print(refusal)
    loss = F.cross_entropy(model(x.to(model[0].weight.dtype)), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
    optimizer.zero_grad()
    del loss  # what is swapped must be in no graph
digest(model)
