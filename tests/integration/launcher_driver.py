"""A launch of a pretend service, for test_launcher.py: real processes, real PostgreSQL, nothing of the API or workers.

launcher_driver.py launch HOME PORT [--worker KIND] [--broken NAME] [--fresh] [--stop-with-parent] [-- COMMAND …]
launcher_driver.py api HOST PORT | migrate | controller | worker KIND
"""

import argparse
import http.server
import os
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

import psycopg

from hqnas.launcher import lifeline


def launch(arguments: list[str]) -> int:
    from hqnas.launcher.child import ProcessSpec
    from hqnas.launcher.errors import LauncherError
    from hqnas.launcher.launcher import launch
    from hqnas.launcher.plan import Plan

    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--worker", default="plain")
    parser.add_argument("--broken", choices=["api", "migrate"])
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--stop-with-parent", action="store_true")
    options, command = arguments, list[str]()
    if "--" in arguments:
        options, command = arguments[: arguments.index("--")], arguments[arguments.index("--") + 1 :]
    chosen = parser.parse_args(options)

    def process(name: str, role: str, *command: str) -> ProcessSpec:
        return ProcessSpec(name, role, (sys.executable, __file__, *(["broken"] if name == chosen.broken else command)))

    plan = Plan(
        home=chosen.home,
        host="127.0.0.1",
        port=chosen.port,
        setup=[process("migrate", "setup", "migrate")],
        processes=lambda host, port: [
            process("api", "api", "api", host, str(port)),
            process("controller-1", "controller", "controller"),
            process("worker-1", "worker", "worker", chosen.worker),
        ],
        command=command,
        is_fresh=chosen.fresh,
        stops_with_parent=chosen.stop_with_parent,
    )
    try:
        return launch(plan, environment=os.environ, say=lambda text: print(text, flush=True))
    except LauncherError as error:
        print(f"error: {error}", flush=True)
        return 1


class _Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def _on_stop(name: str) -> None:
    """At SIGTERM: writes into the database, which must still be there, that this process stopped; then ends."""

    def stop(*_: object) -> NoReturn:
        with psycopg.connect(os.environ["HQNAS_DATABASE_URL"]) as connection:
            connection.execute("INSERT INTO stopped (name) VALUES (%s)", [name])
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    print("to be stopped in order from now on", flush=True)


def migrate() -> None:
    with psycopg.connect(os.environ["HQNAS_DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS stopped (id SERIAL PRIMARY KEY, name TEXT)")
        connection.execute("CREATE TABLE IF NOT EXISTS launched (id SERIAL PRIMARY KEY)")
        connection.execute("INSERT INTO launched DEFAULT VALUES")


def worker(kind: str) -> None:
    if kind == "forking":
        for _ in range(2):
            if os.fork() == 0:
                _sleep()
    if kind == "stubborn":
        if os.fork() == 0:
            os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _sleep()
    _on_stop("worker")
    _sleep()


def _sleep() -> NoReturn:
    while True:
        time.sleep(3600)


def main() -> int:
    role, *arguments = sys.argv[1:]
    if role == "launch":
        return launch(arguments)
    if role == "broken":
        sys.exit("the moon is in the wrong quarter")
    if arguments != ["unwatched"]:
        lifeline.watch()
    if role == "api":
        _on_stop("api")
        http.server.ThreadingHTTPServer((arguments[0], int(arguments[1])), _Healthy).serve_forever()
    elif role == "migrate":
        migrate()
    elif role == "controller":
        _on_stop("controller")
        _sleep()
    elif role == "worker":
        worker(arguments[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
