"""A cluster of real processes to do harm to: API, controllers and workers over a PostgreSQL and a Redis.

Cluster ─ api, controller, worker ─▶ Member ─ kill, freeze, thaw, terminate, start again
        ─ submit ─ (something breaks) ─ conclude: the front is that of an undisturbed run, and all invariants hold
"""

import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from processes import PATIENCE_S, free_port, wait_until
from sqlalchemy import Engine, delete, select

from config import Settings
from hqnas import Client
from hqnas.export import to_csv
from models import Evaluation, Search, UnitOfWork
from models.states import EvaluationState
from worker.check import check
from worker.fault_points import FaultPoint

#: Starts a controller or a worker whose fault points obey orders; see there.
DRIVER = Path(__file__).with_name("faults") / "driver.py"
HOST = socket.gethostname()
#: What a member logs once it does its work.
UP = {"api": "Uvicorn running", "controller": "controller_started", "worker": "worker_registered"}


class Member:
    """An hqnas command as a process that can be started again; its log goes on over restarts."""

    def __init__(self, folder: Path, environment: Mapping[str, str], name: str, role: str, *options: str) -> None:
        self.name = name
        self.role = role
        self._log = folder / f"{name}.log"
        self._log_start = 0
        # Controllers share theirs, for nobody knows which of them takes the next step.
        self._orders = folder / f"orders-{role if role == 'controller' else name}"
        self._orders.mkdir(exist_ok=True)
        program = ["-m", "hqnas.cli"] if role == "api" else [str(DRIVER), str(self._orders)]
        self._command = [sys.executable, *program, role, *options]
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What was logged since the last start."""
        return self._log.read_bytes()[self._log_start :].decode()

    def start(self) -> Self:
        """Starts the process, or nothing if it runs; does not wait for it."""
        if not self.is_running:
            with self._log.open("ab") as log:
                self._log_start = log.tell()
                self._process = subprocess.Popen(
                    self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
        return self

    def wait_until_up(self) -> Self:
        wait_until(lambda: UP[self.role] in self.log or not self.is_running, f"{self.name} to be up")
        assert self.is_running, self.log
        return self

    def children(self) -> list[psutil.Process]:
        """The processes of a worker's pool, and whatever else was started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).children(recursive=True)
        return []

    def kill(self) -> float:
        """Ends the process and all that it started, as the end of its container does; returns when."""
        killed_at = self._send(signal.SIGKILL)
        self.wait()
        return killed_at

    def freeze(self) -> float:
        """Takes the processor from the process and all that it started; returns when."""
        return self._send(signal.SIGSTOP)

    def thaw(self) -> float:
        """Gives the processor back; returns when."""
        return self._send(signal.SIGCONT)

    def terminate(self) -> float:
        """Asks the process to end, as an operator does; returns when, and does not wait."""
        asked_at = time.time()
        os.kill(self.pid, signal.SIGTERM)
        return asked_at

    def wait(self) -> int:
        """Returns the exit status once the process has ended."""
        assert self._process is not None
        return self._process.wait(timeout=PATIENCE_S)

    def hold(self, point: str) -> None:
        """From now on, who gets to the point waits there."""
        (self._orders / f"hold-{point}").touch()

    def let_go(self, point: str) -> None:
        """Lets those go on who wait at the point, and those who come."""
        (self._orders / f"hold-{point}").unlink()

    def kill_at(self, point: FaultPoint, *, times: int = 1) -> None:
        """Kills the process that next gets to the point, so many times; of controllers, whichever gets there."""
        for _ in range(times):
            (self._orders / f"die-{point}.{uuid.uuid4()}").touch()

    def forget_orders(self) -> None:
        for order in self._orders.iterdir():
            order.unlink()

    def deaths(self) -> list[float]:
        """When processes died by order, in the order of time."""
        found = [path.read_text() for path in self._orders.glob("died-*")]
        return sorted(float(text) for text in found if text)

    def _send(self, number: signal.Signals) -> float:
        # The parent first: it must not see its children die, nor start others.
        family = [psutil.Process(self.pid), *self.children()]
        sent_at = time.time()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        return sent_at


class Cluster:
    """Members over one database and one broker, all with the same settings; ends with all of them."""

    def __init__(self, folder: Path, environment: Mapping[str, str], engine: Engine) -> None:
        self.folder = folder
        self.environment = dict(environment)
        self.engine = engine
        self.members: dict[str, Member] = {}
        self._undisturbed: dict[str, str] = {}
        port = free_port()
        self.api = self._member("api", "api", "--port", str(port))
        self.client = Client(f"http://127.0.0.1:{port}")

    def __enter__(self) -> Self:
        self.api.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.client.close()
        for member in self.members.values():
            if member.is_running:
                member.kill()

    def controller(self, name: str) -> Member:
        """Returns the controller of that name, started now or before; does not wait for it."""
        return self._member(name, "controller").start()

    def worker(self, name: str, *, slots: int = 1, holds: str | None = None) -> Member:
        """Returns the worker of that name, started now or before; does not wait for it.

        Args:
            name: in the log, and in the database before an @.
            slots: evaluations at a time.
            holds: where its evaluations wait from the start, until they are let go.
        """
        worker = self._member(name, "worker", "--slots", str(slots), "--name", name)
        if holds is not None:
            worker.hold(holds)
        return worker.start()

    def dismiss(self, *members: Member) -> None:
        """Ends members for good. A worker's slots count no more from now on."""
        for member in members:
            if member.is_running:
                member.kill()
            with UnitOfWork(self.engine) as work:
                work.workers.stop(f"{member.name}@{HOST}")
                work.commit()

    def evaluations(self, *conditions: Any) -> list[Evaluation]:
        with UnitOfWork(self.engine) as work:
            return list(work.session.scalars(select(Evaluation).where(*conditions).order_by(Evaluation.id)))

    def running_on(self, *workers: Member) -> list[Evaluation]:
        """What these workers have claimed and not recorded."""
        names = [f"{worker.name}@{HOST}" for worker in workers]
        return self.evaluations(Evaluation.state == EvaluationState.RUNNING, Evaluation.worker.in_(names))

    def wait_for_attempt(self, attempt: int, ids: Sequence[uuid.UUID]) -> list[float]:
        """Waits until each has been claimed so often; returns when, by the clock of database and machine."""
        chosen = Evaluation.id.in_(ids)
        wait_until(
            lambda: all(one.attempt >= attempt for one in self.evaluations(chosen)), f"attempt {attempt} of {len(ids)}"
        )
        assert {one.attempt for one in self.evaluations(chosen)} == {attempt}
        return [one.started_at.timestamp() for one in self.evaluations(chosen) if one.started_at is not None]

    def search(self, search_id: str) -> Search:
        with UnitOfWork(self.engine) as work:
            return work.session.scalars(select(Search).where(Search.id == search_id)).one()

    def submit(self, spec: dict[str, Any]) -> str:
        """Submits a search to the empty database, once it is known what it finds undisturbed; returns its id."""
        self.undisturbed(spec)
        self.empty()
        return self.client.submit(spec).id

    def conclude(self, search_id: str, spec: dict[str, Any]) -> None:
        """Waits for the end of a disturbed search: it found what it would have found, and all that must hold does."""
        search = self.client.wait(search_id, interval_s=0.1)
        assert search.state == "finished", search.reason
        assert self.front_of(search_id) == self.undisturbed(spec)
        self.check()

    def check(self) -> None:
        """Fails when an invariant is broken, however short a time there has been to see to it."""
        with UnitOfWork(self.engine) as work:
            assert check(work, Settings(), served_s=math.inf) == []

    def undisturbed(self, spec: dict[str, Any]) -> str:
        """The front that a spec gives as CSV when nothing is done to it, found out once."""
        key = json.dumps(spec, sort_keys=True)
        if key not in self._undisturbed:
            self.empty()
            search = self.client.wait(self.client.submit(spec).id, interval_s=0.1)
            assert search.state == "finished", search.reason
            self._undisturbed[key] = self.front_of(search.id)
            assert self._undisturbed[key].count("\n") > 1
        return self._undisturbed[key]

    def front_of(self, search_id: str) -> str:
        front = self.client.front(search_id)
        return to_csv(front.items, front.objectives)

    def empty(self) -> None:
        """Forgets all searches, and all that was evaluated for them."""
        with UnitOfWork(self.engine) as work:
            # Row by row: a TRUNCATE would lock tables in an order of its own while controllers look into them.
            work.session.execute(delete(Search))
            work.session.execute(delete(Evaluation))
            work.commit()

    def _member(self, name: str, role: str, *options: str) -> Member:
        if name not in self.members:
            self.members[name] = Member(self.folder, self.environment, name, role, *options)
        return self.members[name]
