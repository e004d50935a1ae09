"""The command line: `hqnas`."""

import os
import sys


def main() -> None:
    """Runs one command and leaves with its exit code: 0 done, 1 failed, 2 refused what was asked, 130 interrupted."""
    try:
        if "HQNAS_LIFELINE_FD" in os.environ:
            # Set by the launcher for its children: they end when it does, however it ends.
            from hqnas.launcher import lifeline

            lifeline.watch()
        from hqnas.cli.application import app

        app(prog_name="hqnas")
    except KeyboardInterrupt:
        sys.exit(130)
