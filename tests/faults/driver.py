"""A controller or a worker as `hqnas` runs it, whose fault points obey orders, which are files in a folder.

hold-POINT     who gets to the point waits there for as long as the file is
die-POINT.N    who gets to the point next takes the order, notes the time in died-POINT.N, and kills itself

    driver.py FOLDER controller
    driver.py FOLDER worker --slots 4 --name w
"""

import argparse
import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from config import Settings
from config.logging import configure_logging
from worker.fault_points import FaultPoint, Reach

_POLL_S = 0.02


def reach_with_orders(folder: Path) -> Reach:
    """Returns what looks for orders at each point."""

    def reach(point: FaultPoint) -> None:
        for order in sorted(folder.glob(f"die-{point}.*")):
            with contextlib.suppress(FileNotFoundError):  # another process was first
                taken = order.rename(order.with_name(order.name.replace("die-", "died-", 1)))
                taken.write_text(repr(time.time()))
                os.kill(os.getpid(), signal.SIGKILL)
        while (folder / f"hold-{point}").exists():
            time.sleep(_POLL_S)

    return reach


def run_worker_with(reach: Reach, settings: Settings, *, slots: int, name: str) -> None:
    from worker import attempt
    from worker.process import run_worker

    evaluate_bundle, record = attempt.evaluate_bundle, attempt.Attempts._record

    def evaluate(*arguments: Any) -> Any:
        reach(FaultPoint.CLAIM_COMMITTED)
        found = evaluate_bundle(*arguments)
        reach(FaultPoint.COMPUTED)
        return found

    def record_and_reach(*arguments: Any) -> Any:
        found = record(*arguments)
        reach(FaultPoint.RECORD_COMMITTED)
        return found

    attempt.evaluate_bundle, attempt.Attempts._record = evaluate, record_and_reach
    run_worker(settings, slots=slots, device="cpu", name=name)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("role", choices=["controller", "worker"])
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--name", default="w")
    arguments = parser.parse_args()
    settings = Settings.load()
    configure_logging(settings, process=arguments.role)
    reach = reach_with_orders(arguments.folder)
    if arguments.role == "controller":
        from worker.controller import run_controller

        run_controller(settings, reach=reach)
    else:
        run_worker_with(reach, settings, slots=arguments.slots, name=arguments.name)


if __name__ == "__main__":
    sys.exit(main())
