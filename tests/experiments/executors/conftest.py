"""Clusters to run trials on, each on this machine, and as long as a module of tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from bnprobe.experiments.executors.slurm import CLUSTER
from tests.experiments.executors.nodes import NoCluster, two_nodes


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[dict[str, str]]:
    pytest.importorskip("ray", reason="ray is not installed: pip install 'bnprobe[ray]'")
    with ExitStack() as stack:
        try:
            address = stack.enter_context(two_nodes())
        except NoCluster as none:
            pytest.skip(f"not run: {none}")
        yield {**os.environ, "RAY_ADDRESS": address}


@pytest.fixture(scope="module")
def slurm_cluster() -> dict[str, str]:
    pytest.importorskip("submitit", reason="submitit is not installed: pip install 'bnprobe[slurm]'")
    return {**os.environ, CLUSTER: "local"}


@pytest.fixture(scope="module", params=["ray", "slurm"])
def cluster(request: pytest.FixtureRequest) -> tuple[str, dict[str, str]]:
    """Name of an executor, and the environment in which a command finds its cluster."""
    return request.param, request.getfixturevalue(f"{request.param}_cluster")
