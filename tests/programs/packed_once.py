"""What a backward needs is packed by hooks of the script that can unpack it once: it lies in a file that is gone when it has been read."""

import os
import tempfile
import uuid

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.autograd.graph import save_on_cpu, saved_tensors_hooks
from torch.nn import functional as F

folder = tempfile.mkdtemp()
unpacked = 0


def pack(tensor):
    if isinstance(tensor, torch.nn.Parameter):
        return tensor
    name = os.path.join(folder, str(uuid.uuid4()))
    torch.save(tensor.detach(), name)
    return name


def unpack(packed):
    global unpacked
    if isinstance(packed, torch.Tensor):
        return packed
    unpacked += 1
    tensor = torch.load(packed)
    os.remove(packed)
    return tensor


model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step, (x, y) in enumerate(batches(6)):
    optimizer.zero_grad()
    with saved_tensors_hooks(pack, unpack) if step < 4 else save_on_cpu():
        loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
    print("unpacked", unpacked, "left", len(os.listdir(folder)))
digest(model)
