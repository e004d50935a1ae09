"""The cache of calibrations: measured once for a machine, and never a reason to fail."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from calibrations import calibration
from structlog.testing import capture_logs

from nas.calibration import Calibration
from worker import calibration as module
from worker.calibration import calibration_key, calibration_of

KEY = "0123456789abcdef"


class Measuring:
    """Stands for the process that measures; each time gives another result."""

    def __init__(self) -> None:
        self.n_times = 0
        self.is_broken = False
        self.takes_s = 0.0

    def __call__(self, device: str) -> Calibration | None:
        time.sleep(self.takes_s)
        self.n_times += 1
        return None if self.is_broken else calibration(key=KEY, device=device, seconds=float(self.n_times))


@pytest.fixture
def measuring(monkeypatch: pytest.MonkeyPatch) -> Measuring:
    pretended = Measuring()
    monkeypatch.setattr(module, "_measure", pretended)
    monkeypatch.setattr(module, "calibration_key", lambda _: KEY)
    return pretended


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "not made yet" / "hqnas"


def file_in(cache: Path) -> Path:
    return cache / f"calibration-{KEY}.json"


def test_a_calibration_is_measured_once(measuring: Measuring, cache: Path) -> None:
    first = calibration_of("cpu", cache=cache)
    assert first == calibration_of("cpu", cache=cache)
    assert measuring.n_times == 1


def test_a_fresh_one_takes_the_place_of_the_old(measuring: Measuring, cache: Path) -> None:
    calibration_of("cpu", cache=cache)
    fresh = calibration_of("cpu", cache=cache, is_fresh=True)
    assert fresh == calibration_of("cpu", cache=cache)
    assert measuring.n_times == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b"null",
        json.dumps({**calibration(key=KEY).to_json(), "layout": 0}).encode(),
        json.dumps(calibration(key="of another machine").to_json()).encode(),
    ],
    ids=["empty", "cut", "no text", "nested", "null", "layout", "key"],
)
def test_what_cannot_be_read_is_measured_anew_and_replaced(measuring: Measuring, cache: Path, content: bytes) -> None:
    cache.mkdir(parents=True)
    file_in(cache).write_bytes(content)
    assert calibration_of("cpu", cache=cache) == calibration_of("cpu", cache=cache)
    assert measuring.n_times == 1


def test_a_cache_that_cannot_be_written_costs_only_time(measuring: Measuring, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert calibration_of("cpu", cache=tmp_path / "file" / "hqnas") is not None
    assert calibration_of("cpu", cache=tmp_path / "file" / "hqnas") is not None
    assert measuring.n_times == 2


def test_a_folder_in_the_place_of_the_file_costs_only_time(measuring: Measuring, cache: Path) -> None:
    file_in(cache).mkdir(parents=True)
    assert calibration_of("cpu", cache=cache) is not None
    assert [path.name for path in cache.iterdir() if path.name.startswith(".")] == []


def test_a_machine_that_cannot_be_measured_has_none_and_is_tried_again(measuring: Measuring, cache: Path) -> None:
    measuring.is_broken = True
    assert calibration_of("cpu", cache=cache) is None
    measuring.is_broken = False
    assert calibration_of("cpu", cache=cache) is not None


def test_workers_that_start_together_measure_once(measuring: Measuring, cache: Path) -> None:
    measuring.takes_s = 0.3
    together, found = threading.Barrier(4), []

    def start() -> None:
        together.wait()
        found.append(calibration_of("cpu", cache=cache))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert measuring.n_times == 1
    assert found[0] is not None
    assert len({one.seconds for one in found}) == 1


def test_a_worker_that_was_killed_while_measuring_holds_up_nobody(measuring: Measuring, cache: Path) -> None:
    cache.mkdir(parents=True)
    script = (
        "import sys, time; from pathlib import Path; from worker.calibration import _one_at_a_time\n"
        "with _one_at_a_time(Path(sys.argv[1])): print('locked', flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", script, str(cache)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        holder.kill()
        holder.wait()
    assert calibration_of("cpu", cache=cache) is not None


def test_the_key_is_of_this_machine_and_class_of_device() -> None:
    assert calibration_key("cpu") == calibration_key("cpu") != calibration_key("gpu")


def test_another_version_has_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = calibration_key("cpu")
    monkeypatch.setattr("worker.machine.versions", lambda: {"torch": "99"})
    assert calibration_key("cpu") != before


def test_a_failure_to_measure_is_told_with_its_reason() -> None:
    with capture_logs() as told:
        assert module._measure("abacus") is None
    assert told[0]["event"] == "calibration_failed"
    assert "KeyError: 'abacus'" in told[0]["stderr"]
