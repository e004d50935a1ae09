"""Calibrations that nobody measured: engines whose times follow a formula, so that choices are known beforehand."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.calibration import MANY_ROWS, BundleGain, Calibration, StepTime

#: Seconds of a step without qubits, and how many times more each qubit takes: lightning wins above 14 qubits.
BATCHED = (1e-4, 2.0)
LIGHTNING = (1e-2, 1.25)


def calibration(
    *,
    device: str = "cpu",
    curves: Mapping[str, tuple[float, float]] | None = None,
    bundles: Mapping[int, int] | None = None,
    **changes: Any,
) -> Calibration:
    """Returns a calibration with a step of `first · growth ** qubits` seconds for 32 rows, and a 32nd of it for one."""
    curves = {"batched": BATCHED, "lightning.qubit": LIGHTNING} if curves is None else curves
    times = {
        engine: [
            StepTime(qubits=q, one_row_s=first * growth**q / MANY_ROWS, many_rows_s=first * growth**q)
            for q in range(2, 13, 2)
        ]
        for engine, (first, growth) in curves.items()
    }
    fields = {
        "key": "made-up",
        "device": device,
        "device_name": "a machine of the tests",
        "n_devices": 1,
        "memory_bytes": 64 * 2**30,
        "seconds": 0.0,
        "times": times,
        "bundles": [BundleGain(qubits=q, size=size, gain=2.0) for q, size in (bundles or {}).items()],
    }
    return Calibration(**{**fields, **changes})


def write_calibration(cache: Path, **options: Any) -> None:
    """Puts a made-up calibration into a cache, as that of this machine: workers that use the cache do not measure."""
    from worker.calibration import calibration_key

    device = options.get("device", "cpu")
    key = calibration_key(device)
    cache.mkdir(parents=True, exist_ok=True)
    document = calibration(key=key, **options).to_json()
    (cache / f"calibration-{key}.json").write_text(json.dumps(document), encoding="utf-8")
