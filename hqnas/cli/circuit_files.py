"""Circuits in files that a person wrote: read with care, refused with a sentence."""

import contextlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

from nas.circuits import Circuit, circuit_from_json

_MAX_FILE_BYTES: Final = 32 * 2**20


class CannotMeasure(Exception):
    """A file that gives no measurement; the message is for the person who named it."""


def read_circuit(file: Path) -> Circuit:
    """Returns the circuit in a file; the path `-` is the standard input.

    Raises:
        CannotMeasure: the file cannot be read or is not JSON.
        InvalidCircuit: the JSON is not a circuit.
    """
    try:
        with contextlib.nullcontext(sys.stdin.buffer) if str(file) == "-" else file.open("rb") as stream:
            content = stream.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CannotMeasure(f"cannot be read: {error.strerror or error}") from error
    if len(content) > _MAX_FILE_BYTES:
        raise CannotMeasure(f"is larger than {_MAX_FILE_BYTES >> 20} MiB; no circuit needs that")
    if not content.strip():
        raise CannotMeasure("is empty, and a circuit is a JSON document")
    try:
        document = json.loads(
            content.decode("utf-8-sig"), parse_constant=_refuse_constant, object_pairs_hook=_distinct_keys
        )
    except UnicodeDecodeError as error:
        raise CannotMeasure("is not JSON: it is not UTF-8 text") from error
    except RecursionError as error:
        raise CannotMeasure("is not a circuit: its JSON is nested too deeply") from error
    except ValueError as error:
        raise CannotMeasure(f"is not JSON: {error}") from error
    return circuit_from_json(document)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found
