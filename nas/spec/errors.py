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


def problems_from(items: Sequence[Mapping[str, Any]], *, skip: int = 0, is_of_spec: bool = True) -> tuple[Problem, ...]:
    """Returns pydantic's error items as problems.

    Args:
        items: of a validation.
        skip: parts of each path that are left out.
        is_of_spec: whether a spec was validated, whose keys can be told for one that is unknown.
    """
    found = [
        Problem(_cut(_path(item["loc"][skip:])), _sentence(item, is_of_spec=is_of_spec))
        for item in items[:MAX_PROBLEMS]
    ]
    if len(items) > MAX_PROBLEMS:
        found.append(Problem("", f"and {len(items) - MAX_PROBLEMS} more problems; mend these first"))
    return tuple(found)


def _path(loc: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in loc if part not in TAGS)


def _sentence(item: Mapping[str, Any], *, is_of_spec: bool) -> str:
    kind, value = item["type"], item.get("input")
    if kind == "extra_forbidden":
        key = _cut(str(item["loc"][-1]))
        return f"unknown key '{key}'; {_instead_of(key, item['loc']) if is_of_spec else 'remove it'}"
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


def _instead_of(key: str, loc: Sequence[str | int]) -> str:
    """Returns what to do with a key that is unknown where it stands: correct, move or remove it."""
    blocks = _keys_by_block()
    block = next((str(part) for part in reversed(loc[:-1]) if part in blocks), "")
    close = get_close_matches(key, blocks[block], n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    home = next((name for name, keys in blocks.items() if key in keys), None)
    return "remove it" if home is None else f"it goes into '{home}'" if home else "it goes to the top of the spec"


@cache
def _keys_by_block() -> dict[str, list[str]]:
    """Returns the keys of each block of a spec by the block's name, the top first, which has none.

    A block with choices of form (a range or a value) has the keys of all its forms.
    """
    schema = SearchSpec.model_json_schema()
    found: dict[str, set[str]] = {"": set(schema["properties"])}
    waiting = list(schema["properties"].items())
    while waiting:
        name, part = waiting.pop(0)
        for model in _models_in(part, schema["$defs"]):
            if not model["properties"].keys() <= found.setdefault(name, set()):
                found[name] |= set(model["properties"])
                waiting += model["properties"].items()
    return {name: sorted(keys) for name, keys in found.items() if keys}


def _models_in(part: Any, definitions: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Returns the models that a value may be, or a list may hold."""
    if isinstance(part, list):
        return [model for each in part for model in _models_in(each, definitions)]
    if not isinstance(part, dict):
        return []
    if "$ref" in part:
        model = definitions[part["$ref"].rpartition("/")[2]]
        return [model] if "properties" in model else []
    return [model for key in ("anyOf", "oneOf", "allOf", "items") for model in _models_in(part.get(key), definitions)]
