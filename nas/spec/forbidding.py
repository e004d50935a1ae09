"""Checks of `space.forbid`: each condition can be met in the space, and something is left that may be proposed.

Conditions are held against canonical genomes, in which genes depend on one another: `rotations` has no value beside a
named template, and on two qubits `ring` is `linear`. A space is therefore cut into parts in each of which the genes are
independent, so that a part is forbidden altogether if all combinations of their values are.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any, Final

from nas.spec.forbidden import Forbidden, predicate_of
from nas.spec.genes import (
    LAYER_GENES,
    LAYERED,
    NESTED_GENES,
    REPEATABLE_ENCODINGS,
    FloatRange,
    IntegerRange,
    choices_of,
)
from nas.spec.space import Space
from nas.spec.synonyms import FEW_QUBITS, SYNONYMS, canonical_name

if TYPE_CHECKING:
    from nas.spec.checks import Finding
    from nas.spec.search import SearchSpec

#: What each gene may have in a part of a space; `None` stands for no effect.
_Part = Mapping[str, tuple[Any, ...]]

#: Sets of entries that are followed at once, when entries together are held against a part; beyond, it counts as open.
_MAX_STATES: Final = 10_000
_MOST_SHOWN: Final = 8


def find_forbid_problems(spec: "SearchSpec") -> list["Finding"]:
    """Returns the conditions that nothing can meet, and the entries that leave nothing to propose."""
    entries = spec.space.forbid
    if not entries:
        return []
    parts = list(_parts(spec.space, has_training=spec.has_training))
    cover = _Cover(entries)
    taken = {
        name: list(dict.fromkeys(value for part in parts for value in part[name] if value is not None))
        for name in Forbidden.model_fields
    }
    problems: list[Finding] = []
    for i, entry in enumerate(entries):
        if not entry.conditions:
            text = "names no gene and would forbid every architecture; name at least one, or remove the entry"
            problems.append((("space", "forbid", i), text, {}))
        for name, condition in entry.conditions.items():
            sentence = _unmet(name, condition, taken[name], getattr(spec.space, name))
            if sentence is not None:
                problems.append((("space", "forbid", i, name), sentence, _written(condition)))
    alone = [i for i in range(len(entries)) if all(cover.forbids_alone(i, part) for part in parts)]
    for i in alone:
        text = "forbids every architecture of the space; narrow the entry, or widen the space"
        problems.append((("space", "forbid", i), text, entries[i].model_dump(mode="json")))
    if not alone and all(cover.forbids(part) for part in parts):
        text = "the entries together forbid every architecture of the space; remove one, or widen the space"
        problems.append((("space", "forbid"), text, [entry.model_dump(mode="json") for entry in entries]))
    return problems


def _parts(space: Space, *, has_training: bool) -> Iterator[_Part]:
    """Yields the values that canonical genomes have, by part of the space."""
    genes = {name: _choices(space, name) for name in Forbidden.model_fields}
    if not has_training:
        genes["learning_rate"] = (None,)
    cuts = {
        "qubits": [lambda n, few=few: n == few for few in range(1, FEW_QUBITS + 1)] + [lambda n: n > FEW_QUBITS],
        "layers": [lambda n: n == 1, lambda n: n > 1],
        "encoding": [lambda name: name in REPEATABLE_ENCODINGS, lambda name: name not in REPEATABLE_ENCODINGS],
        "template": [lambda name: name == LAYERED, lambda name: name != LAYERED],
        "topology": [lambda name: name == "none", lambda name: name != "none"],
    }
    pieces = [[tuple(filter(is_inside, genes[name])) for is_inside in tests] for name, tests in cuts.items()]
    for values in product(*([piece for piece in of_gene if piece] for of_gene in pieces)):
        yield _canonical({**genes, **dict(zip(cuts, values, strict=True))})


def _canonical(part: dict[str, tuple[Any, ...]]) -> _Part:
    """Returns a part with names as canonical genomes have them, and `None` for genes without effect."""
    can_repeat = part["layers"] != (1,) and part["encoding"][0] in REPEATABLE_ENCODINGS
    found = dict(part)
    for name in SYNONYMS:
        names = (canonical_name(name, value, part["qubits"][0]) for value in part[name])
        found[name] = tuple(dict.fromkeys(names))
    if not can_repeat:
        found["reuploading"] = (False,)
    if part["template"][0] != LAYERED:
        found.update(dict.fromkeys(LAYER_GENES, (None,)))
    elif found["topology"] == ("none",):
        found["entangler"] = (None,)
    return found


def _choices(space: Space, name: str) -> tuple[Any, ...]:
    """Returns the values of a gene; of real numbers the ends, the bounds of conditions, and one between each two."""
    gene = getattr(space, name)
    if not isinstance(gene, FloatRange):
        return choices_of(gene, is_nested=name in NESTED_GENES)
    bounds = {gene.min, gene.max}
    for condition in (entry.conditions[name] for entry in space.forbid if name in entry.conditions):
        ends = (condition.min, condition.max) if isinstance(condition, FloatRange) else choices_of(condition)
        bounds.update(end for end in ends if gene.min < end < gene.max)
    ordered = sorted(bounds)
    return (*ordered, *((low + high) / 2 for low, high in pairwise(ordered)))


def _unmet(name: str, condition: Any, taken: list[Any], gene: Any) -> str | None:
    """Returns the sentence on a condition that names what its gene never has, if it does."""
    if not taken:
        why = "trains nothing" if name == "learning_rate" else f"has no layer that '{name}' describes"
        return f"the search {why}; remove the condition on '{name}'"
    shown = f"{gene.min} to {gene.max}" if isinstance(gene, FloatRange) else _listed(taken)
    if isinstance(condition, IntegerRange | FloatRange):
        is_met = any(map(predicate_of(name, condition), taken))
        return None if is_met else f"'{name}' never lies from {condition.min} to {condition.max}; it takes {shown}"
    for wanted in choices_of(condition, is_nested=name in NESTED_GENES):
        if not any(map(predicate_of(name, [wanted]), taken)) and not _is_written(name, wanted, gene):
            return f"'{name}' is never {_text(wanted)} in this space; it takes {shown}"
    return None


def _is_written(name: str, wanted: Any, gene: Any) -> bool:
    """Whether a value stands among a gene's choices, though canonical genomes never have it."""
    return not isinstance(gene, FloatRange) and wanted in choices_of(gene, is_nested=name in NESTED_GENES)


class _Cover:
    """Holds entries against parts of a space; what the values of a gene meet is found once."""

    def __init__(self, entries: list[Forbidden]) -> None:
        self._predicates = [entry.predicates for entry in entries]
        self._names = sorted({name for one in self._predicates for name in one})
        self._found: dict[tuple[str, tuple[Any, ...]], set[frozenset[int]]] = {}

    def forbids_alone(self, i: int, part: _Part) -> bool:
        """Whether one entry matches all that a part holds."""
        predicates = self._predicates[i]
        return bool(predicates) and all(i in met for name in predicates for met in self._met(name, part[name]))

    def forbids(self, part: _Part) -> bool:
        """Whether each combination of a part's values is matched by some entry.

        Gene by gene, the sets of entries that may still match are followed. A set that runs empty is an architecture
        that nothing forbids; one with an entry whose conditions are all met needs no further look.
        """
        alive = {frozenset(range(len(self._predicates)))}
        for position, name in enumerate(self._names):
            left = set(self._names[position + 1 :])
            done = {i for i, one in enumerate(self._predicates) if left.isdisjoint(one)}
            found = self._met(name, part[name])
            if len(alive) * len(found) > _MAX_STATES:
                return False
            alive = {state & met for state in alive for met in found}
            if frozenset() in alive:
                return False
            alive = {state for state in alive if not state & done}
        return not alive

    def _met(self, name: str, values: tuple[Any, ...]) -> set[frozenset[int]]:
        """Returns the different sets of entries that some value of a gene leaves able to match."""
        key = (name, values)
        if key not in self._found:
            asked = [one.get(name) for one in self._predicates]
            self._found[key] = {
                frozenset(
                    i for i, is_met in enumerate(asked) if is_met is None or (value is not None and is_met(value))
                )
                for value in values
            }
        return self._found[key]


def _written(condition: Any) -> Any:
    return condition.model_dump() if isinstance(condition, IntegerRange | FloatRange) else condition


def _listed(values: list[Any]) -> str:
    more = f" and {len(values) - _MOST_SHOWN} more" if len(values) > _MOST_SHOWN else ""
    return ", ".join(map(_text, values[:_MOST_SHOWN])) + more


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
