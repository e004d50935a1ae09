"""`hqnas engines`, on a machine whose calibration is made up."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from calibrations import calibration, write_calibration
from typer.testing import CliRunner, Result

from hqnas.cli.application import app
from nas.calibration import StepTime


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("HQNAS_CACHE", str(tmp_path))
    monkeypatch.setattr("config.logging.configure_logging", lambda *_, **__: None)  # it would outlive the test
    return lambda *arguments: CliRunner().invoke(app, ["engines", *arguments], env={"COLUMNS": "120"})


Run = Callable[..., Result]


def test_the_table_shows_times_the_choice_and_the_bundles(run: Run, tmp_path: Path) -> None:
    write_calibration(tmp_path, bundles={2: 16, 4: 1})
    result = run()
    lines = result.stdout.splitlines()
    assert result.exit_code == 0, result.output
    assert lines[0] == "cpu: a machine of the tests, 64.0 GiB"
    table = {line.split()[0]: line.split()[1:] for line in lines if line.strip()[:1].isdigit()}
    # 1e-4 · 2^q and 1e-2 · 1.25^q seconds for 32 rows, and a 32nd for one.
    assert table["2"] == ["0.0125", "0.4", "0.488", "15.6", "batched", "16"]
    assert table["12"] == ["12.8", "410", "4.55", "146", "lightning.qubit", "1"]
    assert "batched 16, lightning.qubit 24" in result.stdout


def test_a_scaled_time_is_shown_as_a_bound_and_a_missing_engine_is_named(run: Run, tmp_path: Path) -> None:
    points = [StepTime(qubits=2, one_row_s=0.05, many_rows_s=1.6, is_scaled=True)]
    write_calibration(tmp_path, times={"lightning.qubit": points})
    output = run().stdout
    assert "≤ 1,600" in output
    assert "Not on this machine: batched." in output


def test_json_is_the_calibration(run: Run, tmp_path: Path) -> None:
    write_calibration(tmp_path)
    document: dict[str, Any] = json.loads(run("--json").stdout)
    assert document["times"] == calibration().to_json()["times"]


def test_fresh_measures_though_a_calibration_is_there(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_calibration(tmp_path)
    monkeypatch.setattr("worker.calibration._measure", lambda _: calibration(device_name="measured anew"))
    assert "measured anew" in run("--fresh").stdout


def test_engines_that_cannot_be_measured_are_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.calibration._measure", lambda _: None)
    result = run()
    assert (result.exit_code, result.stdout) == (1, "")
    assert "could not be measured" in result.stderr


def test_a_gpu_that_is_not_there_is_refused_with_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    result = run("--device", "gpu")
    assert result.exit_code == 2
    assert "use --device cpu" in result.stderr
