"""Clusters to run trials on, each on this machine, and as long as a module of tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bnprobe.experiments.executors.slurm import CLUSTER

#: Two nodes of one processor each, until standard input ends. A process of its own: Ray warns, and leaves threads.
_TWO_NODES = """
import sys
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
cluster.add_node(num_cpus=1)
print("address", cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[dict[str, str]]:
    pytest.importorskip("ray", reason="ray is not installed: pip install 'bnprobe[ray]'")
    process = subprocess.Popen(
        [sys.executable, "-c", _TWO_NODES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        address = next((line.split()[1] for line in process.stdout if line.startswith("address ")), "")
        assert address, "the cluster does not start"
        yield {**os.environ, "RAY_ADDRESS": address}
    finally:
        process.stdin.close()
        process.stdout.read()
        process.wait(120)


@pytest.fixture(scope="module")
def slurm_cluster() -> dict[str, str]:
    pytest.importorskip("submitit", reason="submitit is not installed: pip install 'bnprobe[slurm]'")
    return {**os.environ, CLUSTER: "local"}


@pytest.fixture(scope="module", params=["ray", "slurm"])
def cluster(request: pytest.FixtureRequest) -> tuple[str, dict[str, str]]:
    """Name of an executor, and the environment in which a command finds its cluster."""
    return request.param, request.getfixturevalue(f"{request.param}_cluster")
