"""`hqnas engines`: how fast the engines of this machine are, which one `auto` takes, and which bundles pay."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hqnas.cli.failures import needs_worker_packages
from hqnas.cli.run import Device
from nas.calibration import BUNDLED_ENGINE
from nas.spec.limits import AUTO_ENGINES

if TYPE_CHECKING:
    from rich.table import Table

    from nas.calibration import Calibration

ENGINES_EXAMPLE: Final = "\b\nExamples:\n  hqnas engines\n  hqnas engines --device gpu --fresh --json"

_GIB: Final = 2**30


def engines(
    device: Annotated[Device, typer.Option(help="Class of device.")] = Device.cpu,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure now, also where a calibration is cached.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the calibration as JSON.")] = False,
) -> None:
    """Shows how fast the engines of this machine are, as its workers know it; measures it where it is not known.

    For each engine: one sample (row) alone, and a batch of rows that share their weights. '≤' is an upper bound, scaled
    up from fewer rows; a blank was not measured. 'bundle of' is how many candidates are simulated together.
    """
    from config import Settings
    from config.logging import configure_logging

    with needs_worker_packages("engines"):
        from worker.calibration import calibration_of
        from worker.machine import require_gpu

    settings = Settings.load()
    if device is Device.gpu:
        require_gpu()
    if sys.stderr.isatty():
        typer.echo("Measuring engines, unless that was done before; some seconds on an idle machine …", err=True)
    configure_logging(settings.model_copy(update={"log_level": "ERROR"}), process="engines")
    found = calibration_of(device.value, cache=settings.cache, is_fresh=fresh)
    if found is None:
        typer.echo(
            f"hqnas: the engines for device {device.value} could not be measured; the log above says why", err=True
        )
        raise typer.Exit(1)
    if as_json:
        typer.echo(json.dumps(found.to_json()))
    else:
        _print(found)


def _print(calibration: "Calibration") -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    count = f"{calibration.n_devices} × " if calibration.n_devices > 1 else ""  # noqa: RUF001  # a multiplication sign
    memory = f"{calibration.memory_bytes / _GIB:.1f} GiB"
    console.print(Text(f"{calibration.device}: {count}{calibration.device_name}, {memory}", "bold"))
    console.print("Milliseconds of a training step of three layers, at complex128, with one thread.\n")
    console.print(_table(calibration))
    known = AUTO_ENGINES[calibration.device]
    widest = [
        f"{n} {calibration.widest(n, precision='complex128', n_slots=1)}" for n in known if n in calibration.times
    ]
    console.print(f"\nWidest that the memory holds, with one slot: {', '.join(widest) or 'none'}.")
    missing = [name for name in known if name not in calibration.times]
    if missing:
        console.print(f"Not on this machine: {', '.join(missing)}.")
    console.print(Text(f"Measured in {calibration.seconds:.1f} s; calibration {calibration.key}.", "dim"))


def _table(calibration: "Calibration") -> "Table":
    from rich.table import Table

    from nas.calibration import MANY_ROWS, CalibratedWorker, choose_engine

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("\nqubits", justify="right")
    for name in calibration.times:
        table.add_column(f"{name}\n1 row", justify="right", no_wrap=True)
        table.add_column(f"\n{MANY_ROWS} rows", justify="right", no_wrap=True)
    table.add_column(f"auto takes\nat {MANY_ROWS} rows")
    table.add_column("bundle\nof", justify="right")
    here = [CalibratedWorker(1, calibration)]
    for qubits in sorted({point.qubits for points in calibration.times.values() for point in points}):
        cells: list[str] = []
        for points in calibration.times.values():
            point = next((point for point in points if point.qubits == qubits), None)
            bound = "≤ " if point is not None and point.is_scaled else ""
            cells += [_ms(point.one_row_s), bound + _ms(point.many_rows_s)] if point is not None else ["", ""]
        chosen = choose_engine(here, qubits=qubits, rows=MANY_ROWS, precision="complex128")
        size = calibration.bundle_size(qubits) if chosen == BUNDLED_ENGINE else 1
        table.add_row(str(qubits), *cells, chosen or "none", str(size))
    return table


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g}" if seconds < 1 else f"{seconds * 1e3:,.0f}"
