"""Becomes another program, which ends with its parent and does not run as root.

    python -I -S exec_as.py UID GID PARENT SIGNAL FOLDER PROGRAM ARGUMENTS…

PostgreSQL refuses to run as root. So, started by root, it runs as an account without rights. That account may not be
able to reach the home or the installation (`/root` is closed to it); instead of opening folders to everybody, the
process then keeps the two capabilities that let it pass closed folders, and nothing else.

PROGRAM runs as UID and GID (-1: as before) and gets SIGNAL when PARENT ends; it must be able to reach FOLDER. Run as
a file: standard library only, no import of this package.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
SECBIT_NO_SETUID_FIXUP = 4
PASSING = (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Words(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def main() -> None:
    """Drops root, ties the process to its parent and becomes the command."""
    uid, gid, parent, death_signal = (int(argument) for argument in sys.argv[1:5])
    folder, *command = sys.argv[5:]
    if uid >= 0:
        _become(uid, gid, (folder, command[0]))
    if sys.platform == "linux":
        # Only now: a change of the user resets it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("the process that wanted this one is already gone")
    os.execv(command[0], command)  # noqa: S606 - becoming the command is what this file is for


def _become(uid: int, gid: int, paths: tuple[str, ...]) -> None:
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is not None:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if libc is not None:
        can_reach = all(os.access(path, os.R_OK | os.X_OK) for path in paths)
        _keep_capabilities(libc, () if can_reach else PASSING)


def _keep_capabilities(libc: ctypes.CDLL, wanted: tuple[int, ...]) -> None:
    header = _Header(CAPABILITY_VERSION_3, 0)
    words = (_Words * 2)()
    libc.capget(ctypes.byref(header), words)
    if wanted:
        # Without this bit, access(2) answers as if they were not there: initdb would not find the server beside it.
        words[0].effective = words[0].permitted
        libc.capset(ctypes.byref(header), words)
        libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    kept = sum(1 << number for number in wanted) & words[0].permitted
    for index, mask in ((0, kept), (1, 0)):
        words[index].effective = words[index].permitted = words[index].inheritable = mask
    libc.capset(ctypes.byref(header), words)
    for number in wanted:
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0)


if __name__ == "__main__":
    main()
