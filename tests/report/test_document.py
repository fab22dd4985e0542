from __future__ import annotations

from bnprobe.report.document import prose


def test_prose_sets_code_and_keeps_its_options_whole() -> None:
    said = prose("try `bnprobe record --remedy batch-norm <x>` at 1.2e+06")
    assert said == ('try <code>bnprobe record <span class="option">--remedy</span> batch-norm &lt;x&gt;</code> at 1.2×10⁶')


def test_prose_escapes_what_a_file_says() -> None:
    assert "<" not in prose("<script>alert(1)</script>")
