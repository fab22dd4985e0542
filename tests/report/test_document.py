from __future__ import annotations

from bnprobe.report.document import prose


def test_prose_sets_code_and_keeps_its_options_whole() -> None:
    said = prose("try `bnprobe record --remedy batch-norm <x>` at 1.2e+06")
    assert said == ('try <code>bnprobe record <span class="option">--remedy</span> batch-norm &lt;x&gt;</code> at 1.2×10⁶')


def test_prose_escapes_what_a_file_says() -> None:
    assert "<" not in prose("<script>alert(1)</script>")


def test_a_number_below_zero_has_a_minus() -> None:
    assert prose("the loss fell to -0.005 (-3.1e+08 at most), try `run --lr -1`; steps 3-5 of 2026-11-29") == (
        'the loss fell to −0.005 (−3.1×10⁸ at most), try <code>run <span class="option">--lr</span> '
        '<span class="option">-1</span></code>; steps 3-5 of 2026-11-29'
    )


def test_what_is_to_be_copied_stands_as_it_is() -> None:
    said = str(prose("at 1e-05 try `train.py --lr 1e-05`"))
    assert said == 'at 1×10⁻⁵ try <code>train.py <span class="option">--lr</span> 1e-05</code>'
