"""torch.func: functional_call and grad, the weights in a dict."""

from common import batches, digest, small_network
from torch.func import functional_call, grad_and_value
from torch.nn import functional as F

model = small_network()
weights = {name: p.detach().clone() for name, p in model.named_parameters()}


def compute_loss(weights, x, y):
    return F.cross_entropy(functional_call(model, weights, (x,)), y)


for x, y in batches(4):
    gradients, loss = grad_and_value(compute_loss)(weights, x, y)
    print("value", float(loss))
    weights = {name: w - 0.1 * gradients[name] for name, w in weights.items()}
digest(*weights.values())
