"""What is wrong with a spec, as a list of paths and sentences that a person can act on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

from pydantic import ValidationError

from nas.spec.genes import TAGS
from nas.spec.search import SearchSpec

#: A document with more problems than this is told the first of them.
MAX_PROBLEMS = 50

_LONG = 10**60  # Python refuses to print numbers of thousands of digits


@dataclass(frozen=True, slots=True)
class Problem:
    """One refused value: where it stands, and what to do."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class InvalidSpec(ValueError):
    """A spec was refused; `problems` says where and why, never empty."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(str(problem) for problem in problems))


def parse_spec(document: Any) -> SearchSpec:
    """Returns the validated spec of a decoded YAML or JSON document.

    Raises:
        InvalidSpec: with every problem that was found, not only the first.
    """
    if not isinstance(document, dict):
        raise InvalidSpec((Problem("", f"a spec is a mapping of keys to values, not {_shown(document)}"),))
    try:
        return SearchSpec.model_validate(document)
    except ValidationError as error:
        raise InvalidSpec(problems_from(error.errors(include_url=False))) from error


def problems_from(items: Sequence[Mapping[str, Any]], *, skip: int = 0) -> tuple[Problem, ...]:
    """Returns pydantic's error items as problems; the first `skip` parts of each path are left out."""
    found = [Problem(_cut(_path(item["loc"][skip:])), _sentence(item)) for item in items[:MAX_PROBLEMS]]
    if len(items) > MAX_PROBLEMS:
        found.append(Problem("", f"and {len(items) - MAX_PROBLEMS} more problems; mend these first"))
    return tuple(found)


def _path(loc: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in loc if part not in TAGS)


def _sentence(item: Mapping[str, Any]) -> str:
    kind, value = item["type"], item.get("input")
    if kind == "extra_forbidden":
        key = _cut(str(item["loc"][-1]))
        close = [one for one in get_close_matches(key, _all_keys(), n=2) if one != key]
        return f"unknown key '{key}'" + (f"; did you mean '{close[0]}'?" if close else "; remove it")
    if kind == "missing":
        return "is required and missing"
    if kind == "too_short" and value in ([], ()):
        return "is empty; give at least one choice"
    message: str = item["msg"]
    message = message[0].lower() + message[1:]
    message = _cut(message, 1_000)
    return message if isinstance(value, dict | list) or _shown(value) in message else f"{message}, not {_shown(value)}"


def _shown(value: Any) -> str:
    return _cut(repr(value)) if not isinstance(value, int) or abs(value) < _LONG else "a number too long to show"


def _cut(text: str, length: int = 80) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."


@cache
def _all_keys() -> list[str]:
    schema = SearchSpec.model_json_schema()
    models = [schema, *schema.get("$defs", {}).values()]
    return sorted({key for model in models for key in model.get("properties", {})})
