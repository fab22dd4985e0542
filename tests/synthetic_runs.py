"""Run files without a training: recordings made of plain arrays, written through the real writer.

Each builder takes a path and returns it: `healthy`, `exploding`, `vanishing`, `dead_units`, `hostile_names`, `zero_steps`,
`killed`, `thinned`. For a case of its own a test takes `residual_recording()`, changes its arrays and calls `.write(path)`, or `.run()`
for the same run without a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnprobe.store.reader import Event, Gap, Layer, Parameter, Run
from bnprobe.store.schema import CONVENTIONS, DIMENSIONS, PASSED, TEXT, VARIABLES, Variable
from bnprobe.store.writer import RunWriter

Array = NDArray[np.float64]

HOSTILE_NAMES = ("<script>alert(1)</script>", "café.層1", "quote\"and'tick", "{{ 7 * 7 }}", "a" * 200)


@dataclass
class Signal:
    """What the file says of one kind of signal, (S, L) each: size, and how the energy splits."""

    rms: Array
    kappa: Array
    within_share: Array
    zeros: Array

    def row(self, prefix: str, step: int, channels: Array) -> dict[str, Array]:
        with np.errstate(over="ignore", invalid="ignore"):
            energy = self.rms[step] ** 2
            rest = 1 - self.kappa[step]
            peak = self.rms[step] * 4
            values = {
                "common_energy": self.kappa[step] * energy,
                "between_energy": rest * (1 - self.within_share[step]) * energy,
                "within_energy": rest * self.within_share[step] * energy,
                "rms": self.rms[step],
                "min": -peak,
                "max": peak,
                "nonfinite": np.where(np.isfinite(self.rms[step]), 0.0, 16.0 * channels),
                "zeros": self.zeros[step],
            }
        return {f"{prefix}_{name}": value for name, value in values.items()}


class _MemoryWriter:
    """Takes what the real writer takes, and keeps it as the reader would give it back."""

    def __init__(self) -> None:
        self._rows: dict[str, list[dict[str, Any]]] = {name: [] for name in DIMENSIONS}

    def add_layer(self, *, channels: int, **columns: Any) -> None:
        index = len(self._rows["layer"])
        self._rows["layer"].append({**columns, "layer_channels": channels})
        self._rows["channel"] += [{"channel": channel, "channel_layer": index} for channel in range(channels)]

    def add_parameter(self, **columns: Any) -> None:
        self._rows["parameter"].append(columns)

    def add_group(self, name: str) -> None:
        self._rows["group"].append({"group": name})

    def add_event(self, step: int, kind: str, text: str) -> None:
        index = len(self._rows["event"])
        self._rows["event"].append({"event": index, "event_step": step, "event_kind": kind, "event_text": text})

    def add_coverage(self, subject: str, reason: str, count: int = 1) -> None:
        index = len(self._rows["coverage"])
        row = {"coverage": index, "coverage_subject": subject, "coverage_reason": reason, "coverage_count": count}
        self._rows["coverage"].append(row)

    def append_step(self, row: dict[str, Any]) -> None:
        self._rows["step"].append(row)

    def append_snapshot(self, row: dict[str, Any]) -> None:
        self._rows["snapshot"].append(row)

    def append_curvature(self, row: dict[str, Any]) -> None:
        self._rows["curvature"].append(row)

    def add_probe(self, points: list[dict[str, Any]], **columns: Any) -> None:
        index = len(self._rows["probe"])
        self._rows["probe"].append({"probe": index, **columns})
        for point in points:
            self._rows["probe_point"].append({"probe_point": len(self._rows["probe_point"]), "probe_point_probe": index, **point})

    def variables(self) -> dict[str, NDArray[Any]]:
        return {name: self._stack(variable) for name, variable in VARIABLES.items()}

    def _stack(self, variable: Variable) -> NDArray[Any]:
        shape = tuple(len(self._rows[dimension]) for dimension in variable.dims)
        stacked = np.full(shape, variable.missing, dtype=object if variable.dtype == TEXT else variable.dtype)
        with np.errstate(over="ignore"):
            for index, row in enumerate(self._rows[variable.dims[0]]):
                if variable.name in row:
                    stacked[index] = row[variable.name]
        return stacked


@dataclass
class LineProbe:
    """One line probe as the recorder would store it: limits and points in multiples of the step."""

    step: int
    rate: float
    critical: tuple[float, float] = (np.nan, np.nan)
    divergence: tuple[float, float] = (np.nan, np.nan)
    variant: str = "taken"
    reason: str = ""
    points: dict[float, float] = field(default_factory=dict)
    loss: float = np.nan
    optimizer: str = "SGD"
    #: Mean and variance of every channel at each point, (points, channels).
    channels: tuple[Array, Array] | None = None

    @property
    def columns(self) -> dict[str, Any]:
        limits = {"critical": self.critical, "divergence": self.divergence}
        ends = {f"probe_{name}_{end}": value for name, both in limits.items() for end, value in zip(("low", "high"), both, strict=True)}
        named = {"step": self.step, "variant": self.variant, "learning_rate": self.rate, "reason": self.reason}
        named |= {"loss": self.loss, "optimizer": self.optimizer}
        return {**ends, **{f"probe_{name}": value for name, value in named.items()}}

    @property
    def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = [{"probe_point_s": s, "probe_point_ratio": ratio} for s, ratio in sorted(self.points.items())]
        for row, mean, variance in zip(rows, *self.channels, strict=True) if self.channels is not None else ():
            row |= {"probe_channel_mean": mean.astype("f4"), "probe_channel_variance": variance.astype("f4")}
        return rows


@dataclass
class Recording:
    """A run as arrays; every array may be changed before `write`. S steps, L layers, P parameters."""

    layers: list[dict[str, Any]]
    parameters: list[dict[str, Any]]
    activation: Signal
    gradient: Signal
    dead: Array
    loss: Array
    learning_rate: Array
    gradient_norm: Array
    weight_norm: Array
    update_norm: Array
    observed: NDArray[np.bool_]
    snapshots: list[int]
    status: str = "finished"
    events: list[tuple[int, str, str]] = field(default_factory=list)
    attributes: dict[str, str | int | float] = field(default_factory=dict)
    #: Parameter groups: the optimizer and the index of each.
    groups: list[str] = field(default_factory=lambda: ["SGD 0.0"])
    #: Further variables by name: one entry a step; the same entry at every snapshot, or a row for each.
    by_step: dict[str, NDArray[Any]] = field(default_factory=dict)
    by_snapshot: dict[str, NDArray[Any]] = field(default_factory=dict)
    probes: list[dict[str, Any]] = field(default_factory=list)
    line_probes: list[LineProbe] = field(default_factory=list)

    @property
    def steps(self) -> int:
        return len(self.loss)

    def index(self, name: str) -> int:
        """The layer of that name."""
        return [layer["layer"] for layer in self.layers].index(name)

    def write(self, path: Path) -> Path:
        """Write the file through the real writer."""
        writer = RunWriter(path, self._attributes(), overwrite=True)
        self._feed(writer)
        if self.status == "running":  # killed: the last burst is all there is
            writer.burst()
            return path
        return writer.close(status=self.status)

    def run(self) -> Run:
        """The run that reading the written file gives, without a file: for the many small cases of a cause."""
        writer = _MemoryWriter()
        self._feed(writer)
        variables = writer.variables()
        columns = {name: variables[name].tolist() for name in VARIABLES if len(VARIABLES[name].dims) == 1}

        def rows(kind: Any, *names: str) -> list[Any]:
            return [kind(*values) for values in zip(*(columns[name] for name in names), strict=True)]

        return Run(
            path=Path("run.h5"),
            attributes={"Conventions": CONVENTIONS, **self._attributes(), "status": self.status},
            layers=rows(Layer, *(f"layer{part}" for part in ("", *(f"_{name}" for name in Layer._fields[1:])))),
            parameters=rows(Parameter, *(f"parameter{part}" for part in ("", *(f"_{name}" for name in Parameter._fields[1:])))),
            groups=columns["group"],
            events=rows(Event, *(f"event_{name}" for name in Event._fields)),
            gaps=rows(Gap, "coverage_subject", "coverage_reason", "coverage_count"),
            variables=variables,
        )

    def _attributes(self) -> dict[str, str | int | float]:
        return {"script": "train.py", "command": "train.py", "seed": 0, **self.attributes}

    def _feed(self, writer: RunWriter | _MemoryWriter) -> None:
        for layer in self.layers:
            writer.add_layer(**layer)
        for parameter in self.parameters:
            writer.add_parameter(**parameter)
        for group in self.groups:
            writer.add_group(group)
        writer.add_coverage("dropout masks", "drawn inside a fused kernel", 3)
        channels = np.array([layer["channels"] for layer in self.layers], dtype=float)
        for step in range(self.steps):
            writer.append_step(self._step_row(step, channels))
            if step in self.snapshots:
                writer.append_snapshot(self._snapshot_row(step))
        for probe in self.probes:
            writer.append_curvature(probe)
        for line in self.line_probes:
            writer.add_probe(line.rows, **line.columns)
        for event in self.events:
            writer.add_event(*event)

    def _step_row(self, step: int, channels: Array) -> dict[str, Any]:
        row: dict[str, Any] = {
            "step": step,
            "loss": self.loss[step],
            "wall_time": 0.02 * (step + 1),
            "step_seconds": 0.02,
            "observer_seconds": 0.001,
            "batch_size": 128,
            "micro_steps": 1,
            "skipped": 0,
            "layers_observed": int(self.observed[step]),
            "evaluations": 0,
            "learning_rate": np.full(len(self.groups), self.learning_rate[step]),
            "momentum": np.full(len(self.groups), 0.9),
            "weight_decay": np.zeros(len(self.groups)),
        }
        if self.observed[step]:
            row |= self.activation.row("activation", step, channels)
            row |= self.gradient.row("activation_gradient", step, channels)
            row["activation_dead"] = self.dead[step]
            row["parameter_gradient_norm"] = self.gradient_norm[step]
            row["weight_norm"] = self.weight_norm[step]
            row["update_norm"] = self.update_norm[step]
        return row | {name: values[step] for name, values in self.by_step.items()}

    def _snapshot_row(self, step: int) -> dict[str, Any]:
        """Channels whose energies are those of the layer: means of alternating sign, variances spread over a factor of three."""
        blocks: dict[str, list[Array]] = {"mean": [], "variance": [], "gradient_mean": [], "gradient_variance": []}
        for index, layer in enumerate(self.layers):
            n = layer["channels"]
            alive = np.arange(n) >= round(n * self.dead[step, index])
            sign = np.where(np.arange(n) % 3 == 0, -1.0, 1.0)
            spread = np.linspace(0.5, 1.5, n)
            for prefix, signal in (("", self.activation), ("gradient_", self.gradient)):
                kappa, rms = signal.kappa[step, index], signal.rms[step, index]
                with np.errstate(over="ignore", invalid="ignore"):
                    blocks[f"{prefix}mean"].append(alive * sign * np.sqrt(kappa) * rms)
                    blocks[f"{prefix}variance"].append(alive * spread * (1 - kappa) * rms**2)
        with np.errstate(over="ignore"):
            columns = {f"channel_{name}": np.concatenate(parts).astype("f4") for name, parts in blocks.items()}
        place = self.snapshots.index(step)
        further = {name: values[place] if values.ndim > 1 else values for name, values in self.by_snapshot.items()}
        return {"snapshot": step, **columns, **further}


# -- a deep residual network as a recording of it looks ---------------------------------------------------------------


def residual_layers(blocks: int = 3, norm: bool = False) -> list[dict[str, Any]]:
    """Three stages of `blocks` residual blocks with 16, 32 and 64 channels, and a classifier."""
    layers: list[dict[str, Any]] = []

    def add(name: str, kind: str, kind_of_module: str, channels: int) -> None:
        layers.append(
            {
                "layer": name,
                "layer_type": kind_of_module,
                "layer_kind": kind,
                "layer_role": "output",
                "layer_depth": len(layers),
                "layer_call": 0,
                "layer_model": 0,
                "channels": channels,
            }
        )

    def add_convolution(prefix: str, number: int, channels: int) -> None:
        add(f"{prefix}conv{number}", "convolution", "Conv2d", channels)
        if norm:
            add(f"{prefix}bn{number}", "normalisation", "BatchNorm2d", channels)
        add(f"{prefix}relu{number}", "activation", "ReLU", channels)

    add_convolution("", 1, 16)
    for stage, channels in enumerate((16, 32, 64), 1):
        for block in range(1, blocks + 1):
            for number in (1, 2):
                add_convolution(f"stage{stage}.block{block}.", number, channels)
    add("pool", "pooling", "AdaptiveAvgPool2d", 64)
    add("classifier", "linear", "Linear", 10)
    return layers


def residual_recording(steps: int = 40, blocks: int = 3, norm: bool = False, seed: int = 0) -> Recording:
    """A healthy training of the network above: the loss falls from ln 10, every layer keeps its size within some noise."""
    rng = np.random.default_rng(seed)
    layers = residual_layers(blocks, norm)
    shape = (steps, len(layers))

    def noise(width: float) -> Array:
        return np.exp(width * rng.standard_normal(shape))

    has_space = np.array([layer["layer_kind"] not in ("linear", "pooling") for layer in layers])
    is_relu = np.array([layer["layer_kind"] == "activation" for layer in layers])
    within = np.broadcast_to(np.where(has_space, 0.6, 0.0), shape).copy()
    zeros = np.where(is_relu, 0.5, 0.0) * noise(0.02)
    base_kappa = np.where(is_relu, 0.35, 0.1)
    activation = Signal(1.2 * noise(0.03), np.clip(base_kappa * noise(0.05), 0, 1), within, zeros)
    fading = np.linspace(1.0, 0.4, steps)[:, None]
    gradient = Signal(1e-4 * fading * noise(0.1), np.clip(0.02 * noise(0.2), 0, 1), within, zeros / 2)
    parameters = []
    for layer in layers:
        if layer["layer_kind"] in ("convolution", "linear"):
            size = 9 * 16 * layer["channels"]
            parameters.append(
                {
                    "parameter": f"{layer['layer']}.weight",
                    "parameter_layer": layer["layer"],
                    "parameter_shape": f"({layer['channels']}, 16, 3, 3)",
                    "parameter_size": size,
                    "parameter_group": 0,
                }
            )
    wide = (steps, len(parameters))
    weight_norm = 8.0 * np.ones(wide)
    gradient_norm = 0.5 * fading * np.exp(0.1 * rng.standard_normal(wide))
    time = np.arange(steps)
    loss = 0.05 + (np.log(10) - 0.05) * np.exp(-time / max(steps / 4, 1)) * np.exp(0.03 * rng.standard_normal(steps))
    return Recording(
        layers=layers,
        parameters=parameters,
        activation=activation,
        gradient=gradient,
        dead=np.zeros(shape),
        loss=loss,
        learning_rate=np.full(steps, 0.1),
        gradient_norm=gradient_norm,
        weight_norm=weight_norm,
        update_norm=0.1 * gradient_norm,
        observed=np.ones(steps, dtype=bool),
        snapshots=sorted({0, *range(0, steps, 10), *range(max(steps - 5, 0), steps)} & set(range(steps))),
    )


def deep_recording(layers: int) -> Recording:
    """A network of about that many layers, bounded activations, inputs and normalisations among them, whose loss stays at chance level."""
    made = residual_recording(steps=30, blocks=max(1, (layers - 4) // 12))
    for index, layer in enumerate(made.layers):
        layer["channels"] = 8
        if layer["layer_kind"] == "activation":
            layer |= {"layer_type": "Tanh"} if index % 4 else {"layer_kind": "normalisation", "layer_type": "BatchNorm2d"}
        elif index % 10 == 1:
            layer |= {"layer_role": "input", "layer": f"{layer['layer']}:input"}
    made.by_step["batch_norm_gap"] = np.where(
        [layer["layer_kind"] == "normalisation" for layer in made.layers], np.full(made.activation.rms.shape, 0.1), np.nan
    )
    made.loss = np.log(8) + 0.01 * np.random.default_rng(1).standard_normal(made.steps)
    return made


# -- the builders -----------------------------------------------------------------------------------------------------


def exploding_recording(steps: int = 18, blocks: int = 3, leaves_at: int = 8) -> Recording:
    """Without normalisation: rms grows 0.1 decades a layer, and from `leaves_at` on the steps run away, stage2 first.

    The common-mode fraction goes to 1 with depth, the loss is non-finite at the last step.
    """
    made = residual_recording(steps, blocks)
    depth = np.arange(len(made.layers))
    time = np.arange(steps)
    start = made.index("stage2.block1.conv1")
    late, deep = np.clip(time - leaves_at, 0, None), np.clip((depth - start + 4) / len(depth), 0, None)
    runaway = 0.25 * late[:, None] ** 1.5 * deep[None, :]
    made.activation.rms *= 10 ** (0.1 * depth[None, :] + runaway)
    toward_one = np.clip(0.15 + depth / len(depth) * 0.6 + runaway, 0, 0.9999)
    made.activation.kappa = np.broadcast_to(toward_one, made.activation.kappa.shape).copy()
    made.gradient.rms *= 10 ** (0.02 * (len(depth) - depth)[None, :] + 1.2 * runaway.max(axis=1)[:, None])
    growth = 10 ** runaway.max(axis=1)
    made.loss = 9.1 * growth * np.exp(0.02 * np.sin(time))
    made.gradient_norm *= growth[:, None]
    made.update_norm = 0.1 * made.gradient_norm
    made.weight_norm = 8.0 * growth[:, None] ** 0.25 * np.ones_like(made.weight_norm)
    made.loss[-1] = np.nan
    last = made.activation.rms[-1]
    last[depth >= len(depth) - 6] = np.nan
    made.gradient.rms[-1] = np.nan
    made.gradient_norm[-1] = np.nan
    made.update_norm[-1] = np.nan
    made.events.append((steps - 1, "divergence", "the loss is nan"))
    return made


def lost_recording(step: int) -> Recording:
    """A healthy training that is lost from one step to the next."""
    made = residual_recording(steps=30)
    made.loss[step:] = np.nan
    made.gradient.rms[step:] = np.nan
    made.gradient_norm[step:] = np.nan
    return made


def healthy(path: Path) -> Path:
    """A deep residual network with batch norm that trains."""
    return residual_recording(norm=True).write(path)


def exploding(path: Path) -> Path:
    """A deep residual network without normalisation whose activations run away until the loss is not finite."""
    return exploding_recording().write(path)


def vanishing(path: Path) -> Path:
    """Gradients shrink by 0.25 decades a layer towards the input, and the loss stays at chance."""
    made = residual_recording(steps=30)
    depth = np.arange(len(made.layers))
    made.gradient.rms *= 10 ** (0.25 * (depth - depth[-1]))[None, :]
    owners = np.array([made.index(parameter["parameter_layer"]) for parameter in made.parameters])
    made.gradient_norm *= 10 ** (0.25 * (owners - depth[-1]))[None, :]
    made.update_norm = 0.1 * made.gradient_norm
    made.loss = np.log(10) + 0.01 * np.random.default_rng(1).standard_normal(made.steps)
    return made.write(path)


def dead_units(path: Path) -> Path:
    """From step 10 on a growing share of stage2's channels is zero for the whole batch; the loss stalls."""
    made = residual_recording(steps=30)
    first = made.index("stage2.block1.relu1")
    for index, layer in enumerate(made.layers):
        if layer["layer_kind"] == "activation" and index >= first:
            share = np.clip((np.arange(made.steps) - 10) / 5, 0, 0.95)
            made.dead[:, index] = share
            made.activation.zeros[:, index] = 0.5 + 0.5 * share
    made.loss[10:] = made.loss[10] + 0.005 * np.random.default_rng(2).standard_normal(made.steps - 10)
    return made.write(path)


def hostile_names(path: Path) -> Path:
    """The exploding run with layer names that carry markup, quotes, template syntax and non-ASCII."""
    made = exploding_recording()
    names = dict(zip((layer["layer"] for layer in made.layers[-len(HOSTILE_NAMES) :]), HOSTILE_NAMES, strict=True))
    for layer in made.layers:
        layer["layer"] = names.get(layer["layer"], layer["layer"])
    for parameter in made.parameters:
        parameter["parameter_layer"] = names.get(parameter["parameter_layer"], parameter["parameter_layer"])
        parameter["parameter"] = f"{parameter['parameter_layer']}.weight"
    made.events.append((3, "fault", "<img src=x onerror=alert(2)>"))
    made.attributes["script"] = "<b>train</b>.py"
    return made.write(path)


def zero_steps(path: Path) -> Path:
    """A script that built a network and never took a step."""
    made = residual_recording(steps=0)
    made.layers, made.parameters = [], []
    made.status = "crashed"
    return made.write(path)


def killed(path: Path) -> Path:
    """The exploding run, ended by SIGKILL two steps before the loss is not finite: its status is still "running"."""
    made = exploding_recording()
    for name in ("loss", "learning_rate", "gradient_norm", "weight_norm", "update_norm", "dead", "observed"):
        setattr(made, name, getattr(made, name)[:-2])
    made.status = "running"
    made.events.clear()
    return made.write(path)


def thinned(path: Path) -> Path:
    """A healthy run of which layers were measured at every tenth step only."""
    made = residual_recording(steps=60, norm=True)
    made.observed = np.arange(made.steps) % 10 == 0
    made.snapshots = [0, 30]
    return made.write(path)


def in_detail_at(run: Run, steps: Iterable[int]) -> Run:
    """The same run as `record --keep` leaves it: with the detail of some steps, and the loss of all."""
    has_detail = np.isin(run["step"], list(steps))
    whole = {name: run[name] for name in VARIABLES}
    along = {name: values[has_detail] for name, values in whole.items() if VARIABLES[name].dims[0] == "step"}
    passed = {name: np.concatenate([whole[name], whole[source][~has_detail]]) for name, source in PASSED.items()}
    lengths = {**run.lengths, "step": int(has_detail.sum()), "passed": len(passed["passed"])}
    fields = {name: getattr(run, name) for name in Run.__dataclass_fields__}
    return Run(**{**fields, "variables": {**whole, **along, **passed}, "lengths": lengths})


BUILDERS = {
    function.__name__: function for function in (healthy, exploding, vanishing, dead_units, hostile_names, zero_steps, killed, thinned)
}
