"""A controller or a worker as `hqnas` runs it, whose fault points obey orders, which are files in a folder.

hold-POINT     who gets to the point waits there for as long as the file is; COMPUTING is a point, too
die-POINT.N    who gets to the point next takes the order, notes the time in died-POINT.N, and kills itself

    driver.py FOLDER controller
    driver.py FOLDER worker --slots 4 --name w
"""

import argparse
import contextlib
import functools
import os
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from config import Settings
from config.logging import configure_logging
from models.evaluations import Claim

_POLL_S = 0.02


class Orders:
    """What a folder orders at each point."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def obey(self, point: str) -> None:
        for order in self._folder.glob(f"die-{point}.*"):
            with contextlib.suppress(FileNotFoundError):  # another process was first
                taken = order.rename(order.with_name(order.name.replace("die-", "died-", 1)))
                taken.write_text(repr(time.time()))
                os.kill(os.getpid(), signal.SIGKILL)
        while (self._folder / f"hold-{point}").exists():
            time.sleep(_POLL_S)


def run_worker(orders: Orders, settings: Settings, *, slots: int, name: str) -> None:
    from worker import process, task
    from worker.attempt import Attempts
    from worker.outcomes import Outcome, compute

    def computing(claims: Sequence[Claim]) -> Iterable[tuple[Claim, Outcome]]:
        orders.obey("computing")
        return compute(claims)

    task.Attempts = functools.partial(Attempts, compute=computing, reach=orders.obey)  # type: ignore[misc, assignment]
    process.run_worker(settings, slots=slots, device="cpu", name=name)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("role", choices=["controller", "worker"])
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--name", default="w")
    arguments = parser.parse_args()
    settings = Settings.load()
    configure_logging(settings, process=arguments.role)
    orders = Orders(arguments.folder)
    if arguments.role == "controller":
        from worker.controller import run_controller

        run_controller(settings, reach=orders.obey)
    else:
        run_worker(orders, settings, slots=arguments.slots, name=arguments.name)


if __name__ == "__main__":
    sys.exit(main())
