"""A Ray cluster of two nodes on this machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

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


class NoCluster(Exception):
    """The machine lets Ray start no cluster."""


@contextmanager
def two_nodes() -> Iterator[str]:
    """Have a cluster.

    Yields:
        Its address.

    Raises:
        NoCluster: it does not start on this machine.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", _TWO_NODES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        address = next((line.split()[1] for line in process.stdout if line.startswith("address ")), "")
        if not address:
            raise NoCluster("Ray starts no cluster here: it wants ports, shared memory and some twenty processes of its own")
        yield address
    finally:
        process.stdin.close()
        process.stdout.read()
        process.stdout.close()
        process.wait(120)
