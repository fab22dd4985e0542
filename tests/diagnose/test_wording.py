from __future__ import annotations

import pytest

from bnprobe.diagnose import wording


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("convolution", "a convolution layer"),
        ("attention", "an attention layer"),
        ("activation", "an activation layer"),
        ("other", "a layer"),
    ],
)
def test_each(kind: str, words: str) -> None:
    assert wording.each(kind) == words


def test_a_fix_names_only_commands_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wording, "can", lambda file: file == "remedies/batch_norm.py")
    assert wording.with_remedy("Normalise", "batch-norm", "msr") == (
        "Normalise; to try it without an edit: `bnprobe record --remedy batch-norm TARGET`."
    )
    assert wording.with_rate_search("Lower it") == "Lower it."
    monkeypatch.setattr(wording, "can", lambda file: file == "cli/lr_limit.py")
    assert wording.with_remedy("Normalise", "batch-norm") == "Normalise."
    assert wording.with_rate_search("Lower it") == "Lower it; `bnprobe lr-limit TARGET` finds the largest that trains."


def test_can_looks_into_the_package() -> None:
    assert wording.can("cli/diagnose.py")
    assert not wording.can("cli/no_such_command.py")
