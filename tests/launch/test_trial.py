"""What the process of a trial says to the one that waits for it."""

from __future__ import annotations

import pytest

from bnprobe.launch.ending import Ending
from bnprobe.launch.private_files import COVERED, REFUSED
from bnprobe.launch.trial import _Faults


@pytest.mark.parametrize(
    ("protection", "detail", "is_told"),
    [
        (REFUSED, "PermissionError: [Errno 13] Permission denied: 'checkpoint.pt'", True),
        (REFUSED, "ValueError: no data", False),
        (COVERED, "PermissionError: [Errno 13] Permission denied: 'checkpoint.pt'", False),
    ],
)
def test_a_script_that_may_not_write_is_told_why(capsys: pytest.CaptureFixture[str], protection: str, detail: str, is_told: bool) -> None:
    _Faults(protection).ended(Ending("crashed", detail, 1), recorded=True, hurried=False)
    assert ("below $TMPDIR alone" in capsys.readouterr().err) == is_told
