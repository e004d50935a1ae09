"""Reads a circuit from JSON, and says what is wrong with one that cannot be read."""

import math
from collections.abc import Mapping
from typing import Any

from nas.circuits.circuit import Angle, Circuit, Operation
from nas.circuits.gates import AMPLITUDE, GATES
from nas.space.layout import PauliWord

MAX_QUBITS = 28
MAX_OPERATIONS = 100_000
MAX_REFERENCES = 100_000


class InvalidCircuit(ValueError):
    """A circuit description was refused; the message starts with the path of the value."""


def circuit_from_json(document: Any) -> Circuit:
    """Returns the circuit of a decoded JSON document in the form of science.md.

    Raises:
        InvalidCircuit: unknown key or gate, wrong wires, or a value of the wrong kind; the message names its path.
    """
    fields = _mapping(document, "circuit", {"qubits", "operations", "observables"}, required={"qubits", "operations"})
    qubits = _integer(fields["qubits"], "qubits", 1, MAX_QUBITS)
    items = _list(fields["operations"], "operations")
    if len(items) > MAX_OPERATIONS:
        raise InvalidCircuit(f"operations: at most {MAX_OPERATIONS}, not {len(items)}")
    operations = tuple(_operation(item, f"operations[{i}]", qubits) for i, item in enumerate(items))
    for i, operation in enumerate(operations):
        if operation.gate == AMPLITUDE and i:
            raise InvalidCircuit(f"operations[{i}]: amplitude prepares a state, so it must be the first operation")
    words = _list(fields.get("observables", []), "observables")
    observables = tuple(_word(item, f"observables[{i}]", qubits) for i, item in enumerate(words))
    return Circuit(qubits=qubits, operations=operations, observables=observables)


def _operation(item: Any, path: str, qubits: int) -> Operation:
    fields = _mapping(item, path, {"gate", "wires", "angle", "features"}, required={"gate", "wires"})
    name = fields["gate"]
    if name == AMPLITUDE:
        return _amplitude(fields, path, qubits)
    gate = GATES.get(name) if isinstance(name, str) else None
    if gate is None:
        raise InvalidCircuit(f"{path}.gate: there is no gate {name!r}; choose from {', '.join(GATES)}, {AMPLITUDE}")
    if "features" in fields:
        raise InvalidCircuit(f"{path}.features: only {AMPLITUDE} takes features here; put them in the angle")
    wires = _wires(fields["wires"], f"{path}.wires", qubits)
    if len(wires) != gate.n_wires:
        raise InvalidCircuit(f"{path}.wires: {name} acts on {gate.n_wires} wires, not {len(wires)}")
    if gate.has_angle != ("angle" in fields):
        raise InvalidCircuit(f"{path}.angle: {name} {'needs an angle' if gate.has_angle else 'takes no angle'}")
    return Operation(name, wires, _angle(fields["angle"], f"{path}.angle") if gate.has_angle else None)


def _amplitude(fields: Mapping[str, Any], path: str, qubits: int) -> Operation:
    if "angle" in fields:
        raise InvalidCircuit(f"{path}.angle: {AMPLITUDE} takes no angle")
    wires = _wires(fields["wires"], f"{path}.wires", qubits)
    if not wires:
        raise InvalidCircuit(f"{path}.wires: is empty; {AMPLITUDE} needs at least one wire")
    run = _list(fields.get("features"), f"{path}.features")
    if len(run) != 2:
        raise InvalidCircuit(f"{path}.features: give the first and the last index, not {run!r}")
    first, last = (_integer(value, f"{path}.features", 0, MAX_REFERENCES) for value in run)
    if first > last:
        raise InvalidCircuit(f"{path}.features: the first index {first} is above the last, {last}")
    count, room = last - first + 1, 1 << len(wires)
    if count > room:
        raise InvalidCircuit(f"{path}.features: {count} features do not fit {room} amplitudes of {len(wires)} wires")
    return Operation(AMPLITUDE, wires, features=(first, last))


def _angle(value: Any, path: str) -> Angle:
    if not isinstance(value, dict):
        return Angle(scale=_real(value, path))
    fields = _mapping(value, path, {"weight", "feature", "features", "scale"}, required=set())
    scale = _real(fields.get("scale", 1.0), f"{path}.scale")
    given = [name for name in ("weight", "feature", "features") if name in fields]
    if len(given) != 1:
        raise InvalidCircuit(f"{path}: give one of weight, feature and features, not {', '.join(given) or 'none'}")
    if given == ["weight"]:
        return Angle(scale, weight=_integer(fields["weight"], f"{path}.weight", 0, MAX_REFERENCES))
    items = [fields["feature"]] if given == ["feature"] else _list(fields["features"], f"{path}.features")
    if not items:
        raise InvalidCircuit(f"{path}.features: is empty; name at least one feature")
    return Angle(scale, features=tuple(_integer(item, f"{path}.{given[0]}", 0, MAX_REFERENCES) for item in items))


def _word(item: Any, path: str, qubits: int) -> PauliWord:
    fields = _mapping(item, path, {"x", "y", "z"}, required=set())
    word = tuple((axis, wire) for axis, wires in fields.items() for wire in _wires(wires, f"{path}.{axis}", qubits))
    if not word or len({wire for _, wire in word}) < len(word):
        raise InvalidCircuit(f"{path}: a Pauli word names each of its wires once, and at least one")
    return tuple(sorted(word, key=lambda factor: factor[1]))


def _wires(value: Any, path: str, qubits: int) -> tuple[int, ...]:
    wires = tuple(_integer(item, path, 0, qubits - 1) for item in _list(value, path))
    if len(set(wires)) < len(wires):
        raise InvalidCircuit(f"{path}: {list(wires)} names a wire twice")
    return wires


def _mapping(value: Any, path: str, known: set[str], *, required: set[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidCircuit(f"{path}: must be an object, not {value!r:.60}")
    for key in value:
        if key not in known:
            raise InvalidCircuit(f"{path}: unknown key {key!r}; it may have {', '.join(sorted(known))}")
    for key in sorted(required - value.keys()):
        raise InvalidCircuit(f"{path}: {key!r} is missing")
    return value


def _list(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidCircuit(f"{path}: must be a list, not {value!r:.60}")
    return value


def _integer(value: Any, path: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidCircuit(f"{path}: must be a whole number from {low} to {high}, not {value!r:.60}")
    return value


def _real(value: Any, path: str) -> float:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    except OverflowError:  # a whole number beyond the range of floats
        pass
    raise InvalidCircuit(f"{path}: must be a finite number, not {value!r:.60}")
