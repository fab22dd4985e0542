"""MLflow: a run of its own, in the experiment that MLflow's environment names."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from bnprobe.integrations.libraries import required

#: A tag of a run may not be longer.
LONGEST_TAG = 5000


class Mlflow:
    """Writes to a run of MLflow through its client, which leaves the active run of this process alone.

    Args:
        client: a client of the tracking server.
        run: the id of the run.
    """

    def __init__(self, client: Any, run: str) -> None:
        self._client, self._run = client, run
        self._metric = required("mlflow.entities").Metric

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write the scalars of one step."""
        now = int(1000 * time.time())
        self._client.log_batch(self._run, metrics=[self._metric(name, value, now, step) for name, value in values.items()])

    def finding(self, step: int, name: str, text: str) -> None:
        """Write a finding as a tag."""
        self._client.set_tag(self._run, f"bnprobe.{name}", text[:LONGEST_TAG])

    def close(self, verdict: str) -> None:
        """Write the verdict and end the run."""
        self.finding(0, "verdict", verdict)
        self._client.set_terminated(self._run)


def library() -> Any:
    """Return MLflow."""
    return required("mlflow")


def begin(where: str, name: str) -> Mlflow:
    """Begin a run at the tracking URI ``where`` (that of the environment)."""
    mlflow = library()
    client = mlflow.MlflowClient(tracking_uri=where or None)
    experiment = client.get_experiment_by_name("bnprobe")
    number = experiment.experiment_id if experiment else client.create_experiment("bnprobe")
    return Mlflow(client, client.create_run(number, run_name=name).info.run_id)
