"""Runs schedules of faults by number, and says which of them broke something."""

import argparse
import contextlib
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

from faults.simulation.clock import make_database
from faults.simulation.scenarios import SCENARIOS
from faults.simulation.simulator import Report, Simulator

from hqnas.launcher.postgres import EmbeddedPostgres

#: Schedules after which a run says how far it is.
_TELL_EVERY: Final = 500

#: Seeds that a failing run prints, before it stops.
_MOST_FAILURES: Final = 5

#: The exit status of what Ctrl-C ended.
_INTERRUPTED: Final = 130


def main() -> int:
    """Returns 0 if no schedule broke anything."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--schedules", type=_positive, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    parser.add_argument("--seed", type=int, help="run this one, and print its trace")
    parser.add_argument(
        "--jobs", type=_positive, default=os.cpu_count() or 1, help="processes with databases of their own"
    )
    chosen = parser.parse_args()
    if chosen.seed is not None:
        return _replay(chosen.seed)
    if chosen.jobs > 1:
        return _in_parallel(chosen.first, chosen.schedules, chosen.jobs)
    return _run(chosen.first, chosen.schedules)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return number


def _replay(seed: int) -> int:
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder), is_durable=False) as server:
        simulator = Simulator(make_database(server.url, "simulation"))
        report = simulator.run(seed)
        simulator.close()
    print("\n".join(report.trace.lines))
    print(f"\nschedule {seed} ({report.scenario}), trace {report.trace.digest}: {_said(report)}")
    return int(bool(report.violations))


def _run(first: int, n: int) -> int:
    n_lines, faults = 0, Counter[str]()
    failures: list[int] = []
    scenarios = Counter[str]()
    started = time.monotonic()
    with (
        contextlib.suppress(KeyboardInterrupt),
        tempfile.TemporaryDirectory() as folder,
        EmbeddedPostgres(Path(folder), is_durable=False) as server,
    ):
        simulator = Simulator(make_database(server.url, "simulation"))
        for seed in range(first, first + n):
            report = simulator.run(seed)
            scenarios[report.scenario] += 1
            n_lines += len(report.trace.lines)
            faults.update(report.trace.faults)
            if scenarios.total() % _TELL_EVERY == 0:
                _tell(f"{scenarios.total()} of {n} schedules from {first} on: {len(failures)} broke something")
            if report.violations:
                failures.append(seed)
                _tell(f"schedule {seed} ({report.scenario}): {_said(report)}; see it with make simulate SEED={seed}")
                if len(failures) == _MOST_FAILURES:
                    break
        simulator.close()
    n_run = scenarios.total()
    seconds = time.monotonic() - started
    print(f"{n_run} schedules from {first} on in {seconds:.0f} s: {len(failures)} broke something; {n_lines} events")
    print("   of", ", ".join(f"{name} {number}" for name, number in sorted(scenarios.items())))
    print("   with", ", ".join(f"{number} {name}" for name, number in sorted(faults.items())))
    return int(bool(failures)) if failures or n_run == n else _INTERRUPTED


def _tell(line: str) -> None:
    print(line, flush=True)  # a long run is watched, or written to a file


def _in_parallel(first: int, n: int, jobs: int) -> int:
    bounds = [first + n * job // jobs for job in range(jobs + 1)]
    command = [sys.executable, "-m", "faults.simulation", "--jobs", "1"]
    # In groups of their own, so that they hear of an end from here alone, and once; each tells how far it came.
    processes = [
        subprocess.Popen([*command, "--first", str(low), "--schedules", str(high - low)], process_group=0)
        for low, high in itertools.pairwise(bounds)
        if high > low
    ]
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        statuses = [process.wait() for process in processes]
    except KeyboardInterrupt:
        for process in processes:
            process.send_signal(signal.SIGINT)
        statuses = [process.wait() for process in processes]
    # One that a signal ended has a status below 0.
    return max((abs(status) for status in statuses), default=0)


def _said(report: Report) -> str:
    return "; ".join(report.violations) or f"nothing broke ({len(SCENARIOS)} scenarios)"


if __name__ == "__main__":
    sys.exit(main())
