"""`hqnas up` killed with a search under way, and started again: the search ends as if nothing had been."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import made_up
import psutil
import pytest
from launches import command_line
from measured import SPEC, begin, finish
from processes import ending, free_port, wait_until
from sqlalchemy import Engine, select

from config.settings import Settings
from hqnas import Client
from hqnas.launcher.cluster import url_of_running
from models import Evaluation, UnitOfWork, connect, disposing
from models.states import EvaluationState
from worker.check import check

pytestmark = pytest.mark.integration


@contextlib.contextmanager
def up(home: Path, cache: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Runs the whole service on a home, as `make serve` does."""
    command = [sys.executable, "-m", "hqnas.cli", "up", "--home", str(home), "--port", str(port), "--slots", "1"]
    environment = {**os.environ, "HQNAS_CACHE": str(cache), "HQNAS_RERING_S": "2"}
    with home.with_suffix(".out").open("ab") as output:
        process = subprocess.Popen([*command, "--stop-with-parent"], env=environment, stdout=output, stderr=output)
        with ending(process):
            yield process


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Kills a launcher, its guard and its worker, so that nobody is left to clean up in order."""
    process.send_signal(signal.SIGSTOP)  # it starts nothing any more
    family = psutil.Process(process.pid).children(recursive=True)
    for one in family:
        if any(part in command_line(one) for part in ("hqnas.launcher.guard", "--name worker")):
            one.kill()
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []


def states(url: str | None) -> list[str]:
    assert url is not None
    with disposing(connect(url, application="test")) as engine, UnitOfWork(engine) as work:
        return list(work.session.scalars(select(Evaluation.state)))


def test_a_search_goes_on_to_the_same_result_after_kills_of_everything(
    engine: Engine, cache: Path, tmp_path: Path
) -> None:
    undisturbed = made_up.outcome(engine, finish(engine, begin(engine)))
    home, port = tmp_path / "home", free_port()
    spec = {**made_up.SPEC, **SPEC}
    with Client(f"http://127.0.0.1:{port}") as client:
        with up(home, cache, port) as process:
            search = client.submit(spec)
            wait_until(lambda: EvaluationState.SUCCEEDED in states(url_of_running(home / "postgres")), "a result")
            kill(process)
        with up(home, cache, port):
            assert client.wait(search.id).state == "finished"
            url = url_of_running(home / "postgres")
            assert url is not None
            with disposing(connect(url, application="test")) as resumed:
                row = made_up.reload(resumed, search)
                assert made_up.outcome(resumed, row) == undisturbed
                with UnitOfWork(resumed) as work:
                    assert check(work, Settings()) == []
