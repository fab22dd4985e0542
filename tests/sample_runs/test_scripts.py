from __future__ import annotations

import ast
import gzip
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "sample_runs"
MODULES = {"digits.py", "residual_network.py", "cifar.py", "cifar_network.py"}
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.py") if path.name not in MODULES)


def run(script: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a script from the folder above it, as its docstring says."""
    command = [sys.executable, str(FOLDER / script), *options]
    return subprocess.run(command, cwd=FOLDER.parent, capture_output=True, text=True, check=False)


def losses(output: str) -> list[float]:
    return [float(value) for value in re.findall(r"\bloss +(nan|inf|\d\S*)", output)]


def final_accuracy(output: str) -> float:
    return float(re.findall(r"test accuracy (\S+)", output)[-1])


def commands(script: str) -> list[list[str]]:
    docstring = ast.get_docstring(ast.parse((FOLDER / script).read_text()))
    assert docstring is not None
    return [shlex.split(line[line.index("$") + 1 :], comments=True) for line in docstring.splitlines() if "$ " in line]


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_runs_for_three_steps_and_does_the_same_again(script):
    once, again = (run(script, "--steps", "3", "--seed", "1") for _ in range(2))
    assert (once.returncode, once.stderr) == (0, "")
    assert losses(once.stdout)
    assert once.stdout == again.stdout


@pytest.mark.parametrize("script", SCRIPTS)
class TestEveryScript:
    def test_docstring_gives_the_commands(self, script):
        first, *others = commands(script)
        assert first == ["python", f"sample_runs/{script}"]
        recordings = [words for words in others if words[:2] == ["bnprobe", "record"]]
        assert recordings and all(f"sample_runs/{script}" in words for words in recordings)
        recorded = {words[words.index("-o") + 1] for words in recordings}
        reported = {word for words in others if words[:2] == ["bnprobe", "report"] for word in words[2:]}
        assert recorded <= reported

    def test_options_in_the_docstring_exist(self, script):
        source = (FOLDER / script).read_text()
        used = {word for words in commands(script) if words[0] == "python" for word in words if word.startswith("--")}
        assert all(f'parser.add_argument("{option}"' in source for option in used)

    def test_code_knows_nothing_of_the_recorder(self, script):
        _, _, code = (FOLDER / script).read_text().split('"""', 2)
        assert "bnprobe" not in code

    def test_readme_lists_it(self, script):
        assert f"| `{script}` |" in (FOLDER / "README.md").read_text()


class TestDeepResidual:
    def test_two_scripts_differ_in_one_setting(self):
        plain, batch_norm = (
            (FOLDER / f"deep_residual_{kind}.py").read_text().split('"""', 2)[2].splitlines() for kind in ("plain", "batch_norm")
        )
        different = [pair for pair in zip(plain, batch_norm, strict=True) if pair[0] != pair[1]]
        assert len(different) == 1
        assert different[0][0].startswith("BATCH_NORM = False")
        assert different[0][1].startswith("BATCH_NORM = True")

    @pytest.mark.slow
    def test_plain_dies_at_its_rate(self):
        result = run("deep_residual_plain.py")
        assert (result.returncode, result.stderr) == (0, "")
        first, *later = losses(result.stdout)
        assert first < 20
        assert min(later[:2]) < first  # it had begun to train
        assert max(value for value in later if value == value) > 1e3 * first
        assert "the loss has not been a finite number for 10 steps" in result.stdout.splitlines()[-1]

    @pytest.mark.slow
    def test_batch_norm_trains_at_the_rate_that_kills_plain(self):
        result = run("deep_residual_batch_norm.py")
        assert losses(result.stdout)[-1] < 0.1
        assert final_accuracy(result.stdout) > 0.95

    @pytest.mark.slow
    def test_plain_survives_a_tenth_of_the_rate(self):
        result = run("deep_residual_plain.py", "--learning-rate", "0.01")
        assert final_accuracy(result.stdout) > 0.9

    @pytest.mark.slow
    def test_depth_that_is_no_network_is_refused(self):
        result = run("deep_residual_plain.py", "--depth", "10")
        assert result.returncode == 1
        assert result.stderr.endswith("ValueError: depth 10 is not 6n + 2, such as 8\n")


@pytest.mark.slow
def test_unscaled_pixels_stay_at_chance_and_scaled_ones_train():
    assert final_accuracy(run("mlp_mean_shift.py").stdout) < 0.2
    assert final_accuracy(run("mlp_mean_shift.py", "--scaled").stdout) > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("script, accuracy", [("healthy_cnn.py", 0.97), ("lstm_sequence.py", 0.94)])
def test_healthy_scripts_learn_their_digits(script, accuracy):
    assert final_accuracy(run(script).stdout) > accuracy


@pytest.mark.slow
def test_transformer_learns_its_text():
    first, *_, last = losses(run("transformer_language_model.py").stdout)
    assert first > 2.5 and last < 0.7


@pytest.mark.slow
def test_players_of_the_gan_stay_in_balance():
    discriminator_losses = losses(run("gan.py").stdout)[::2]
    assert all(0.5 < value < 2.5 for value in discriminator_losses)


def test_data_are_all_the_digits():
    lines = gzip.decompress((FOLDER / "digits.csv.gz").read_bytes()).decode().split()
    rows = [[int(value) for value in line.split(",")] for line in lines]
    assert len(rows) == 1797
    assert all(len(row) == 65 and max(row[:64]) <= 16 and 0 <= row[64] <= 9 for row in rows)
