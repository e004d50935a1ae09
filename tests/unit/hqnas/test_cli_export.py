from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

Run = Callable[..., Result]


@pytest.mark.parametrize(
    ("name", "start"),
    [("f.csv", b"generation,index,digest"), ("f.json", b"{\n"), ("f.png", b"\x89PNG"), ("f.py", b"import pennylane")],
)
def test_export_writes_the_kind_that_the_suffix_names(run: Run, tmp_path: Path, name: str, start: bytes) -> None:
    result = run("export", "latest", "--output", str(tmp_path / "new" / name))

    assert result.exit_code == 0
    assert (tmp_path / "new" / name).read_bytes().startswith(start)


def test_exported_csv_holds_the_front(run: Run, tmp_path: Path) -> None:
    run("export", "latest", "--output", str(tmp_path / "f.csv"))

    assert len((tmp_path / "f.csv").read_text().splitlines()) == 1 + 2


def test_export_of_all_holds_every_evaluated_candidate(run: Run, tmp_path: Path) -> None:
    run("export", "latest", "--output", str(tmp_path / "f.csv"), "--all")

    assert len((tmp_path / "f.csv").read_text().splitlines()) == 1 + 3


def test_exported_source_is_of_the_best_member(run: Run, tmp_path: Path, api: Any) -> None:
    run("export", "latest", "--output", str(tmp_path / "f.py"))

    assert api.requests[-1].url.path.endswith(api.candidates[1]["id"])


def test_exported_source_may_be_of_another_member(run: Run, tmp_path: Path, api: Any) -> None:
    run("export", "latest", "--output", str(tmp_path / "f.py"), "--candidate", "0.0")

    assert api.requests[-1].url.path.endswith(api.candidates[0]["id"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--output", "f.xlsx"],
        ["--output", "f"],
        ["--output", "f.csv", "--candidate", "0.0"],
        ["--output", "f.py", "--all"],
    ],
    ids=["other suffix", "no suffix", "candidate of a table", "all of a program"],
)
def test_export_refuses_what_it_cannot_write_before_it_asks(run: Run, api: Any, arguments: list[str]) -> None:
    result = run("export", "latest", *arguments)

    assert result.exit_code == 1
    assert result.stderr.startswith("hqnas: ")
    assert api.requests == []


def test_export_without_a_front_has_no_best_member(run: Run, api: Any, tmp_path: Path) -> None:
    api.candidates = []

    assert "has no best member" in run("export", "latest", "--output", str(tmp_path / "f.py")).stderr
