"""Saved, pickled, copied and loaded while training; the files hold nothing of the recorder's."""

import copy
import io
import pickle
import warnings

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F

warnings.simplefilter("error")
model = small_network()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for step, (x, y) in enumerate(batches(5)):
    optimizer.zero_grad()
    logits = model(x)
    loss = F.cross_entropy(logits, y)
    loss.backward()
    say_loss(loss)
    if step < 3:
        say_norms(model)
    optimizer.step()
    torch.save(model, "model.pt")
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, "state.pt")
    torch.save(logits, "logits.pt")
    again = torch.load("model.pt", weights_only=False)
    again.load_state_dict(torch.load("state.pt")["model"])
    twin = pickle.loads(pickle.dumps(model))
    optimizer_twin = copy.deepcopy(optimizer)
    print("size", len(pickle.dumps(twin)), len(pickle.dumps(optimizer_twin.state_dict())))
    if step == 2:
        model = again
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
buffer = io.BytesIO()
torch.save(model, buffer)
digest(model, again, twin)
