from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnprobe.errors import RemedyError
from bnprobe.remedies import settings
from bnprobe.remedies.catalogue import ENTRIES, names
from bnprobe.remedies.specification import name_of, parse, parse_all, split


class TestReading:
    def test_defaults(self) -> None:
        assert parse("msr").settings == settings.MeanShiftRejectionSettings()

    def test_values_flags_and_words(self) -> None:
        read = parse("msr:w=0.99,gain=he,scale,keep-weights,noise,first=no").settings
        assert read == settings.MeanShiftRejectionSettings(w=0.99, gain=2**0.5, scale="linear", keep_weights=True, noise=0.1)

    def test_whole_numbers(self) -> None:
        assert parse("spectral-norm:iterations=3").settings == settings.SpectralNormSettings(iterations=3)

    @pytest.mark.parametrize("text", ["msr", "msr:w=0.99,noise=0.1", "weight-norm:linear=no", "dropout:p=0.3,after=blocks"])
    def test_text_is_read_back_as_the_same(self, text: str) -> None:
        assert parse(text).text == text
        assert parse(parse(text).text) == parse(text)

    def test_order_is_kept(self) -> None:
        assert [one.entry.name for one in parse_all(["clip-norm", "agc", "msr"])] == ["clip-norm", "agc", "msr"]


ONE = st.one_of(
    st.sampled_from(["msr", "msr:w=0.99,noise", "no-norm", "batch-norm", "weight-norm:linear=no", "dropout:p=0.3,after=blocks"]),
    st.floats(min_value=1e-30, max_value=1e30).map(lambda value: f"clip-norm:max={value!r}"),
    st.floats(min_value=1e-30, max_value=1e30).map(lambda value: f"agc:clipping={value:.17e}"),
)


class TestCombinations:
    @given(st.lists(ONE, min_size=1, max_size=4))
    def test_what_was_joined_is_split_again(self, texts: list[str]) -> None:
        assert split("+".join(texts)) == texts
        for text in texts:
            assert name_of(text) == parse(text).entry.name

    @given(st.lists(ONE, min_size=1, max_size=4))
    def test_also_as_a_combination_is_stored(self, texts: list[str]) -> None:
        stored = [parse(text).text for text in texts]
        assert split("+".join(stored)) == stored


class TestRefusal:
    @pytest.mark.parametrize(
        ("text", "message", "hint"),
        [
            ("mrs", "no remedy 'mrs'", "did you mean 'msr'?"),
            ("batchnorm", "no remedy 'batchnorm'", "did you mean 'batch-norm'?"),
            ("xyzzy", "no remedy 'xyzzy'", "bnprobe remedies lists them all"),
            ("msr:gian=he", "msr has no setting 'gian'", "did you mean 'gain'?"),
            ("msr:keep_weight", "msr has no setting 'keep-weight'", "did you mean 'keep-weights'?"),
            ("clip-norm:q=1", "clip-norm has no setting 'q'", "it has max"),
            ("msr:gain=hee", "gain=hee: expected a number, unit, he or relu", "did you mean 'he'?"),
            ("dropout:after=activation", "expected activations, convolutions or blocks", "did you mean 'activations'?"),
            ("msr:w=2", "w=2: expected a number from 0 to 1", None),
            ("clip-norm:max=nan", "expected a number of at least 0", None),
            ("clip-norm:max", "'max' needs a value", "such as max=1"),
            ("msr:first=perhaps", "expected yes or no", None),
            ("spectral-norm:iterations=1.5", "expected a whole number", None),
            ("msr:w=0.9,w=0.8", "'w' is given twice", "give each setting once"),
            ("msr:", "ends with a colon", "--remedy msr"),
        ],
    )
    def test_says_what_was_expected(self, text: str, message: str, hint: str | None) -> None:
        with pytest.raises(RemedyError) as caught:
            parse(text)
        assert message in str(caught.value)
        assert caught.value.hint == hint
        assert caught.value.exit_status == 2

    def test_one_remedy_twice(self) -> None:
        with pytest.raises(RemedyError, match="msr is asked for twice"):
            parse_all(["msr", "msr:w=0.9"])


class TestCatalogue:
    def test_names_are_unique_and_load_their_class(self) -> None:
        assert len(set(names())) == len(ENTRIES)
        for entry in ENTRIES:
            assert entry.load()().name == entry.name

    def test_it_is_read_without_torch(self) -> None:
        code = "import sys; sys.modules['torch'] = None\nfrom bnprobe.remedies.specification import parse; print(parse('msr:w=0.5').text)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "msr:w=0.5\n"
