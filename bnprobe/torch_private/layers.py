"""What torch's own layer classes have for a base, and how a module is called; 2.6 to 2.13."""

from __future__ import annotations

from typing import Any

from torch import nn

ConvNd = nn.modules.conv._ConvNd
ConvTransposeNd = nn.modules.conv._ConvTransposeNd
BatchNormBase = nn.modules.batchnorm._BatchNorm
NormBase = nn.modules.batchnorm._NormBase
InstanceNormBase = nn.modules.instancenorm._InstanceNorm
DropoutNd = nn.modules.dropout._DropoutNd
PoolNd = (
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
)
LossBase = nn.modules.loss._Loss

#: The function that calls ``forward``, and what stands at that call in its source.
MODULE_CALLER: Any = nn.Module._call_impl
FORWARD_CALL = "forward_call"
