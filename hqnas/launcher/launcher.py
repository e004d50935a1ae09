"""The launcher itself: brings a plan up, watches it, and takes it down in order."""

import contextlib
import signal
import time
import uuid
from collections.abc import Mapping
from typing import Final

import httpx2 as httpx

from hqnas.launcher.child import Child, ProcessSpec, stop_roles
from hqnas.launcher.command import ForegroundCommand
from hqnas.launcher.errors import ChildFailed
from hqnas.launcher.guarding import GuardProcess
from hqnas.launcher.home import Home, Say
from hqnas.launcher.lifeline import LAUNCH_VARIABLE, LIFELINE_VARIABLE, Lifeline
from hqnas.launcher.plan import Plan, find_port, reach
from hqnas.launcher.postgres import end_leftover
from hqnas.launcher.signals import Stopped, StopSignals
from hqnas.launcher.sweep import kill_members

POLL_S: Final = 0.05
HEALTH_WAIT_S: Final = 180.0
STOP_WAIT_S: Final = 20.0
"""How long the processes of one role may take to stop; a worker releases its leases, an API ends its requests."""


def launch(plan: Plan, *, environment: Mapping[str, str], say: Say) -> int:
    """Runs the plan until it is stopped or its command ends, and returns the exit status.

    Args:
        plan: what to run.
        environment: what every process gets; the launch adds the database's URL and its own marks.
        say: told what a person at the terminal wants to know.

    Raises:
        LauncherError: it cannot run, or a process of it keeps dying; by then all is stopped.
    """
    launch_id = uuid.uuid4().hex
    with StopSignals(watches_parent=plan.stops_with_parent) as signals:
        try:
            home = Home.take(plan.home, say=say, is_stopped=lambda: signals.is_stopped)
            with contextlib.closing(home):
                if home.previous is not None:
                    # What even the guard of the earlier launch left, because it was killed as well.
                    kill_members(home.previous.launch)
                home.sign(launch_id)
                port = find_port(plan.host, plan.port)
                if plan.is_fresh:
                    end_leftover(home.postgres)
                    home.clear()
                marked = {**environment, LAUNCH_VARIABLE: launch_id, "HQNAS_URL": reach(plan.host, port)}
                return Launcher(plan, port, home, signals, environment=marked, say=say).run()
        except Stopped as stopped:
            return stopped.status if plan.command else 0


class Launcher:
    """One launch on a home that is ours. Single-threaded; every wait looks at the signals and at the guard."""

    def __init__(
        self, plan: Plan, port: int, home: Home, signals: StopSignals, *, environment: Mapping[str, str], say: Say
    ) -> None:
        """Prepares; the environment carries the launch's id and URL."""
        self._plan = plan
        self._port = port
        self._url = environment["HQNAS_URL"]
        self._home = home
        self._signals = signals
        self._say = say
        self._lifeline = Lifeline()
        self._guard = GuardProcess(
            home, self._lifeline, environment[LAUNCH_VARIABLE], has_postgres=plan.has_postgres, say=say
        )
        self._children: list[Child] = []
        self._command: ForegroundCommand | None = None
        self._environment = dict(environment)

    def run(self) -> int:
        """Runs the plan and returns the exit status; whatever happens, all is stopped then."""
        try:
            self._start()
            self._say(f"hqnas is up: {self._url}")
            self._say(f"Logs: {self._home.logs}")
            return self._serve()
        except Stopped:
            self._say("Stopping.")
            raise
        finally:
            self._stop()

    def _start(self) -> None:
        self._guard.start(self._environment, self._pause)
        if self._guard.database_url is not None:
            self._environment["HQNAS_DATABASE_URL"] = self._guard.database_url
        for spec in self._plan.setup:
            self._run_to_end(spec)
        for spec in self._plan.processes(self._plan.host, self._port):
            self._add(spec)
        self._wait_for_health()

    def _add(self, spec: ProcessSpec) -> Child:
        environment = {**self._environment, LIFELINE_VARIABLE: self._lifeline.variable}
        child = Child(spec, logs=self._home.logs, environment=environment, lifeline_fd=self._lifeline.read_fd)
        self._children.append(child)
        child.start()
        return child

    def _run_to_end(self, spec: ProcessSpec) -> None:
        child = self._add(spec)
        while child.status is None:
            self._pause()
        if child.status != 0:
            raise child.failure("failed")
        self._children.remove(child)

    def _wait_for_health(self) -> None:
        deadline = time.monotonic() + HEALTH_WAIT_S
        # trust_env: a proxy set for the internet must not be asked for an address of this machine.
        with httpx.Client(trust_env=False, timeout=2.0) as client:
            while not self._is_healthy(client):
                for child in self._children:
                    if child.status is not None:
                        raise child.failure("did not start")
                if time.monotonic() > deadline:
                    raise ChildFailed(f"{self._url} did not answer in {HEALTH_WAIT_S:.0f} s; see {self._home.logs}")
                self._pause()

    def _is_healthy(self, client: httpx.Client) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return client.get(f"{self._url}/health").status_code == httpx.codes.OK
        return False

    def _serve(self) -> int:
        if self._plan.command:
            self._command = ForegroundCommand(self._plan.command, self._environment)
        while True:
            if self._command is not None and self._command.status is not None:
                return self._command.status
            for child in self._children:
                news = child.keep_up()
                if news is not None:
                    self._say(news)
            self._pause()

    def _pause(self) -> None:
        self._signals.check()
        self._guard.check()
        time.sleep(POLL_S)

    def _stop(self) -> None:
        """Stops the command, then the children role by role, then the guard with PostgreSQL."""
        if self._command is not None:
            self._command.stop(self._signals)
        for role in stop_roles(self._children):
            self._stop_together(role)
        self._lifeline.close()
        self._guard.wait()

    def _stop_together(self, children: list[Child]) -> None:
        for child in children:
            child.send(signal.SIGTERM)
        deadline = time.monotonic() + STOP_WAIT_S
        while any(child.status is None for child in children):
            if time.monotonic() > deadline or self._signals.is_urgent:
                for child in children:
                    child.kill_session()
            time.sleep(POLL_S)
