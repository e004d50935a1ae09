import logging
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from pydantic import SecretStr
from typer.testing import CliRunner, Result

import hqnas
from config.settings import Settings
from hqnas.cli.application import app

ROOT = Path(__file__).parents[3]
COMMANDS = [
    "up",
    "api",
    "controller",
    "worker",
    "migrate",
    "check",
    "submit",
    "sweep",
    "watch",
    "list",
    "front",
    "show",
    "cancel",
    "export",
    "measure",
    "circuit",
    "space",
    "engines",
]
Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A command that starts a process sets up logging for it, to a stream that ends with the command."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "140"})

    assert result.exit_code == 0
    assert f"hqnas {command}".split()[1] in result.output


def test_paragraphs_of_help_are_filled_to_the_width_of_the_terminal() -> None:
    output = CliRunner().invoke(app, ["weights", "--help"], env={"COLUMNS": "80"}).output
    lines = [line.strip() for line in output.splitlines()]
    start = next(place for place, line in enumerate(lines) if line.startswith("Every tensor"))
    paragraph = lines[start : lines.index("", start)]
    assert len(paragraph) > 2
    assert all(len(line) > 60 for line in paragraph[:-1])


def test_help_shows_the_defaults_of_up() -> None:
    output = CliRunner().invoke(app, ["up", "--help"], env={"COLUMNS": "140"}).output
    assert "HQNAS_HOME, or ~/.local/share/hqnas" in output
    assert "cores / workers" in output


def test_help_groups_all_commands() -> None:
    output = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "140"}).output

    assert re.findall(r"─ (Run|Search|Measure) ─", output) == ["Run", "Search", "Measure"]
    assert set(COMMANDS) <= set(re.findall(r"^│ ([a-z]+) ", output, re.MULTILINE))


def test_version_is_the_one_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert CliRunner().invoke(app, ["--version"]).output == f"hqnas {project['version']}\n"
    assert hqnas.__version__ == project["version"]


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['hqnas', '--help']\n"
        "from hqnas.cli import main\n"
        "try: main()\n"
        "finally: print(sorted({'torch', 'pennylane', 'celery', 'fastapi', 'sqlalchemy', 'httpx2', 'uvicorn',"
        " 'matplotlib', 'numpy'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)

    assert done.stderr.strip() == "[]"


def test_service_that_is_down_is_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    # A first wait beyond the patience ends the command at its first attempt.
    monkeypatch.setattr("hqnas.client.transport._FIRST_WAIT_S", 1_000.0)
    monkeypatch.setattr("hqnas.client.transport._LONGEST_WAIT_S", 1_000.0)

    result = run("--url", "http://127.0.0.1:9", "list")

    assert result.exit_code == 1
    assert result.stderr.startswith("hqnas: the API at http://127.0.0.1:9 does not answer")
    assert result.stderr.count("\n") == 1


def test_wrong_setting_names_its_variable(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HQNAS_LEASE_S", "soon")

    result = run("list")

    assert result.exit_code == 2
    assert result.stderr.startswith("hqnas: HQNAS_LEASE_S: ")


def test_leases_that_would_run_out_between_renewals_are_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HQNAS_LEASE_S", "5")

    result = run("list")

    assert result.exit_code == 2
    told = "hqnas: HQNAS_RENEW_S: has to be at most 2.5, half of HQNAS_LEASE_S (5), not 5.0\n"
    assert result.stderr == told


def test_a_database_of_another_kind_is_refused_without_its_password(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HQNAS_DATABASE_URL", "mysql://me:secret@host/hqnas")

    result = run("migrate")

    assert result.exit_code == 2
    assert result.stderr.startswith("hqnas: HQNAS_DATABASE_URL has to begin with postgresql://")
    assert "secret" not in result.stderr


def test_a_launch_over_a_database_of_another_kind_makes_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HQNAS_DATABASE_URL", "nonsense")
    result = run("up", "--home", str(tmp_path / "home"), "--port", "0")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith("hqnas: HQNAS_DATABASE_URL has to begin with postgresql://")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("command", [["migrate"], ["check"], ["controller"], ["worker"], ["api", "--port", "0"]])
@pytest.mark.parametrize("address", ["u:sec@ret:w@db", "u:sec@ret@db"])
def test_a_database_whose_password_is_not_encoded_is_refused_without_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: list[str], address: str
) -> None:
    monkeypatch.setenv("HQNAS_DATABASE_URL", f"postgresql://{address}/hqnas")

    result = run(*command)

    assert result.exit_code == 2
    assert re.match("hqnas: HQNAS_DATABASE_URL .* percent-encode", result.stderr)
    assert not {"sec", "ret"} & set(re.findall(r"\w+", result.stderr))


def test_an_option_that_the_database_client_does_not_know_is_refused_by_its_name(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HQNAS_DATABASE_URL", "postgresql://u:secret@db/hqnas?sslmode=require&pool=5")

    result = run("check")

    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.startswith('hqnas: HQNAS_DATABASE_URL: invalid connection option "pool"; ')
    assert "secret" not in result.stderr


@pytest.mark.parametrize("address", ["u:a%40b%2Fc%3Ad@db:5432", "u:a/b:c@db", "[::1]:5432", ""])
def test_a_database_that_can_be_read_is_taken_as_it_is(address: str) -> None:
    url = f"postgresql://{address}/hqnas?host=/a@b"

    assert Settings(database_url=SecretStr(url)).require_database_url() == url


def test_bug_keeps_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("hqnas.cli.connection.connect", fail)

    assert isinstance(run("list").exception, ZeroDivisionError)


def test_interruption_ends_with_130_and_no_word(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hqnas.cli.connection.connect", interrupt)

    result = run("list")

    assert (result.exit_code, result.output) == (130, "")


def test_port_in_use_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = CliRunner().invoke(app, ["api", "--port", str(port)])

    assert result.exit_code == 1
    assert f"port {port} on 127.0.0.1 is in use" in result.stderr


def test_address_of_another_machine_is_a_sentence() -> None:
    result = CliRunner().invoke(app, ["api", "--host", "192.0.2.1"])

    assert result.exit_code == 1
    assert "cannot listen on 192.0.2.1" in result.stderr


@pytest.mark.parametrize("command", ["controller", "worker"])
def test_missing_packages_say_what_to_install(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in ("worker", "celery")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "celery", None)

    result = CliRunner().invoke(app, [command])

    assert result.exit_code == 1
    assert result.stderr == f"hqnas: `hqnas {command}` needs celery, which is not installed; install 'hqnas[worker]'\n"


def test_migrate_without_a_database_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HQNAS_DATABASE_URL", raising=False)

    result = CliRunner().invoke(app, ["migrate"])

    assert result.exit_code == 2
    assert result.stderr.startswith("hqnas: HQNAS_DATABASE_URL is not set")


def test_database_that_is_down_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HQNAS_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/nothing")

    result = CliRunner().invoke(app, ["migrate"])

    assert result.exit_code == 1
    assert "the database of HQNAS_DATABASE_URL does not answer" in result.stderr
