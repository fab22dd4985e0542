from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bnprobe.store.reader import read_run
from bnprobe.store.schema import TEXT, VARIABLES
from tests.synthetic_runs import exploding_recording, residual_recording


@pytest.mark.parametrize("made", [residual_recording(steps=6, blocks=1), exploding_recording(blocks=1)], ids=["healthy", "exploding"])
def test_the_run_without_a_file_is_the_one_that_reading_gives(tmp_path: Path, made: object) -> None:
    written, direct = read_run(made.write(tmp_path / "run.h5")), made.run()
    for name, variable in VARIABLES.items():
        if variable.dtype == TEXT:
            assert written[name].tolist() == direct[name].tolist()
        else:
            assert written[name].dtype == direct[name].dtype
            np.testing.assert_array_equal(written[name], direct[name], err_msg=name)
    for part in ("layers", "parameters", "groups", "events", "gaps", "attributes"):
        assert getattr(written, part) == getattr(direct, part)
