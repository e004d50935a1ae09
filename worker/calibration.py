"""This machine's calibration: from the cache, or measured by a process of its own.

    key of hardware and versions ──▶ calibration-<key>.json in the cache ──▶ or measured, one process at a time

The cache is a convenience: what is wrong with it costs a few seconds and no error. Measuring takes a fresh process with
one torch thread, as the processes of the pool have; the worker itself never simulates, nor makes a CUDA context.

    python -m worker.calibration cpu    prints the calibration as JSON
"""

import contextlib
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import structlog

import nas
from nas.calibration import LAYOUT, Calibration

log = structlog.get_logger()

#: Measuring takes a few seconds; loading the simulators from a slow disk may take many.
_PATIENCE_S: Final = 120.0
_LOCK_POLL_S: Final = 0.1


def calibration_of(device: str, *, cache: Path, is_fresh: bool = False) -> Calibration | None:
    """Returns the calibration of this machine for a class of device, or None where it cannot be measured.

    Workers that start together measure once: the others wait for the first and read what it wrote.

    Args:
        device: `cpu` or `gpu`.
        cache: the folder that it is kept in.
        is_fresh: whether to measure in any case.
    """
    key = calibration_key(device)
    path = cache / f"calibration-{key}.json"
    found = None if is_fresh else _read(path, key)
    if found is not None:
        return found
    with _one_at_a_time(cache):
        found = None if is_fresh else _read(path, key)
        if found is None:
            found = _measure(device)
            if found is not None:
                _write(path, found)
    return found


def calibration_key(device: str) -> str:
    """Returns the digest of all that decides how fast engines are: hardware, versions, and our engines' own source."""
    from worker.machine import hardware, versions

    facts = {"layout": LAYOUT, "device": device, "hardware": hardware(), "versions": versions(), "engines": _sources()}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _sources() -> str:
    digest = hashlib.sha256()
    for path in sorted((Path(nas.__file__).parent / "engines").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(path: Path, key: str) -> Calibration | None:
    try:
        found = Calibration.from_json(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError):
        return None
    return found if found.key == key else None


def _write(path: Path, calibration: Calibration) -> None:
    # Whole or not at all: another worker may read at any time, and this one may be killed.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps(calibration.to_json(), indent=1), encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        log.warning("calibration_not_cached", path=str(path), error=str(error))


@contextlib.contextmanager
def _one_at_a_time(cache: Path) -> Iterator[None]:
    """Holds the lock of the cache; goes on without it where there is none to be had."""
    with contextlib.ExitStack() as stack:
        try:
            cache.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context((cache / "calibration.lock").open("w"))
        except OSError:
            yield
            return
        deadline = time.monotonic() + 2 * _PATIENCE_S
        while time.monotonic() < deadline:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_LOCK_POLL_S)
            except OSError:
                break  # a file system without locks
        yield


def _measure(device: str) -> Calibration | None:
    command = [sys.executable, "-P", "-m", "worker.calibration", device]
    one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    try:
        answer = subprocess.run(
            command, env={**os.environ, **one_thread}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=True, timeout=_PATIENCE_S,
        )  # fmt: skip
        found = Calibration.from_json(json.loads(answer.stdout))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        log.error("calibration_failed", device=device, error=str(error), stderr=_end(getattr(error, "stderr", None)))
        return None
    log.info("calibration_measured", device=device, seconds=round(found.seconds, 2))
    return found


def _end(text: Any) -> str:
    return (text.decode(errors="replace") if isinstance(text, bytes) else text or "")[-2_000:]


def _main(device: str) -> None:
    import torch

    from nas.engines.timing import Hardware, calibrate
    from worker.machine import hardware

    torch.set_num_threads(1)
    about = hardware()
    name, n_devices, memory_bytes = about["processor"], 1, about["memory_bytes"]
    if device == "gpu":
        name, n_devices = about["gpus"][0], len(about["gpus"])
        memory_bytes = torch.cuda.get_device_properties(0).total_memory
    found = calibrate(Hardware(calibration_key(device), device, name, n_devices, memory_bytes))
    sys.stdout.write(json.dumps(found.to_json()))


if __name__ == "__main__":
    _main(sys.argv[1])
