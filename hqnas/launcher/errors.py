"""What can keep the launcher from its work. Each message is one sentence for a person, and says what to do.

LauncherError
 ├── HomeUnusable      the home cannot be written, is a file, or belongs to something else
 ├── HomeBusy          another launcher runs on the home
 ├── PortUnavailable   the API cannot listen where it was told to
 ├── PostgresMissing   the wheel with PostgreSQL is not installed
 ├── PostgresFailed    the embedded PostgreSQL does not start, or keeps dying
 │    └── DiskFull     for want of space
 ├── CommandNotFound   what stands behind `--` is no program
 └── ChildFailed       a process of the service does not start, or keeps dying
"""


class LauncherError(Exception):
    """The launcher cannot go on; the message says why and what to do."""


class HomeUnusable(LauncherError):
    """The home cannot be written, is no folder, or holds what is not ours."""


class HomeBusy(LauncherError):
    """Another launcher is at work on the home."""


class PortUnavailable(LauncherError):
    """The API cannot listen on the host and port."""


class PostgresMissing(LauncherError):
    """The wheel that brings PostgreSQL is not installed."""


class PostgresFailed(LauncherError):
    """The embedded PostgreSQL does not start, or keeps dying."""


class DiskFull(PostgresFailed):
    """There is no space left for PostgreSQL."""


class CommandNotFound(LauncherError):
    """The command behind `--` is no program."""


class ChildFailed(LauncherError):
    """A process of the service does not start, or keeps dying."""
