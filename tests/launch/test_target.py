from __future__ import annotations

import os
import zipfile

import pytest

from bnprobe.errors import UsageError
from bnprobe.launch.target import Target, resolve


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    (tmp_path / "package" / "train.py").write_text("")
    (tmp_path / "package" / "bare").mkdir()  # without an __init__.py
    (tmp_path / "package" / "bare" / "train.py").write_text("")
    (tmp_path / "runnable").mkdir()
    (tmp_path / "runnable" / "__main__.py").write_text("")
    return tmp_path


def refusal(name: str, is_module: bool = False) -> tuple[str, str]:
    with pytest.raises(UsageError) as caught:
        resolve(name, is_module, [])
    return str(caught.value), caught.value.hint or ""


def test_file_with_arguments():
    assert resolve("train.py", False, ["--lr", "1"]) == Target("train.py", False, ("--lr", "1"))


def test_only_the_first_separator_is_ours():
    assert resolve("train.py", False, ["--", "--lr", "--", "1"]).arguments == ("--lr", "--", "1")
    assert resolve("train.py", False, ["a", "--", "1"]).arguments == ("a", "--", "1")


@pytest.mark.parametrize("name", ["package.train", "package.bare.train", "runnable", "json.tool"])
def test_module_is_found_without_being_imported(name):
    assert resolve(name, True, []).name == name


@pytest.mark.parametrize(("name", "label"), [("a/b/train.py", "train"), ("train", "train"), ("a/program.pyz", "program")])
def test_label_of_a_file(name, label):
    assert Target(name, False).label == label


def test_label_of_the_current_folder(folder):
    assert Target(".", False).label == folder.name


def test_typing_error_is_answered_with_what_lies_there():
    assert refusal("trian.py") == ("cannot run 'trian.py': no such file", "did you mean train.py?")
    assert refusal("package/trian.py")[1] == "did you mean package/train.py?"


def test_the_standard_input_is_named_by_its_file():
    assert refusal("-") == (
        "cannot run '-': a script is read from a file, not from the standard input",
        "name /dev/stdin, or save it to a file",
    )


def test_missing_file_lists_scripts():
    assert refusal("something_else.txt")[1] == "scripts there: train.py"


def test_missing_folder():
    assert refusal("nowhere/train.py")[1] == "there is no folder 'nowhere'"


def test_file_taken_for_a_folder():
    message, _ = refusal("train.py/other.py")
    assert message == "cannot run 'train.py/other.py': Not a directory"


def test_folder_without_main():
    message, hint = refusal("package")
    assert message == "cannot run 'package': it is a folder without a __main__.py"
    assert "package/train.py" in hint


def test_archive_without_main(folder):
    with zipfile.ZipFile(folder / "program.zip", "w") as archive:
        archive.writestr("other.py", "")
    assert refusal("program.zip")[0] == "cannot run 'program.zip': it is an archive without a __main__.py"


def test_unreadable_file(folder, monkeypatch):
    # Root may read everything, so that permissions alone do not make this test.
    def denied(name, *rest):
        raise PermissionError(13, "Permission denied", name)

    monkeypatch.setattr("builtins.open", denied)
    assert refusal("train.py")[0] == "cannot read 'train.py': Permission denied"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_by_permissions(folder):
    (folder / "train.py").chmod(0)
    assert refusal("train.py")[0] == "cannot read 'train.py': Permission denied"


@pytest.mark.parametrize("launcher", ["torchrun", "accelerate", "python"])
def test_launcher_by_habit(launcher):
    message, hint = refusal(launcher)
    assert message == f"cannot run '{launcher}': no such file"
    assert "bnprobe record train.py" in hint


def test_launcher_as_a_module_would_record_nothing():
    message, hint = refusal("torch.distributed.run", is_module=True)
    assert message == "cannot record -m torch.distributed.run: it trains in processes of its own"
    assert hint.endswith("-m bnprobe record train.py")


def test_module_given_as_a_file():
    assert refusal("json") == ("cannot run 'json': no such file", "'json' is a module: bnprobe record -m json")


def test_file_given_as_a_module():
    message, hint = refusal("train.py", is_module=True)
    assert message == "cannot run 'train.py' with -m: it is a file, not a module name"
    assert hint == "leave -m out: bnprobe record train.py"


def test_missing_module():
    assert refusal("trian", is_module=True) == ("cannot run -m trian: no module named 'trian'", "did you mean train?")
    assert refusal("package.trian", is_module=True)[1] == "did you mean package.train?"
    assert refusal("nothing_like_it", is_module=True)[1].startswith("run it from the folder that holds it")


def test_module_inside_a_module():
    assert refusal("train.deeper", is_module=True)[0] == "cannot run -m train.deeper: 'train' is a module, not a package"


def test_package_without_main():
    assert refusal("package", is_module=True)[0] == "cannot run -m package: it is a package without a __main__ module"


@pytest.mark.parametrize("name", ["", ".package", "package..train"])
def test_odd_module_names(name):
    assert refusal(name, is_module=True)[0].startswith(f"cannot run -m {name}: ")
