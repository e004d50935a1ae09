"""A spec as a person hands it over, a file, a mapping or a model, as the JSON values to send."""

import json
import math
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from hqnas.client.errors import UnreadableSpec

if TYPE_CHECKING:
    from nas.spec import SearchSpec

_TOO_MUCH = "holds a value that cannot be read: a number too long, nesting too deep, or a tag that does not fit"


def to_document(spec: "Mapping[str, Any] | str | os.PathLike[str] | SearchSpec") -> dict[str, Any]:
    """Returns the JSON values of a spec; a text or a path names a YAML or JSON file.

    Raises:
        UnreadableSpec: the file cannot be read, or holds no mapping.
    """
    if isinstance(spec, str | os.PathLike):
        document = read_document(Path(spec))
        if not isinstance(document, dict):
            kind = "nothing" if document is None else f"a {type(document).__name__}"
            raise UnreadableSpec(f"{spec} holds {kind}; a spec is a mapping of keys to values")
        named = f"{spec}: "
    elif isinstance(spec, Mapping):
        document, named = dict(spec), ""
    else:
        return spec.model_dump(mode="json", exclude_none=True)
    _refuse_non_finite(document, named)
    return document


def _refuse_non_finite(value: Any, named: str, path: str = "") -> None:
    """Refuses what no JSON can say."""
    if isinstance(value, float) and not math.isfinite(value):
        raise UnreadableSpec(f"{named}{path} is {value}, and a number has to be finite")
    if isinstance(value, Mapping):
        for key, one in value.items():
            _refuse_non_finite(one, named, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, one in enumerate(value):
            _refuse_non_finite(one, named, f"{path}.{index}" if path else str(index))


def read_document(path: Path) -> Any:
    """Returns the values of a YAML or JSON file; the path `-` is the standard input.

    Raises:
        UnreadableSpec: the file cannot be read or decoded; the message names the line.
    """
    name = "standard input" if str(path) == "-" else str(path)
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UnreadableSpec(f"cannot read {name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UnreadableSpec(f"{name} is no text in UTF-8 (byte {error.start})") from error
    return _decoded_json(text, name) if path.suffix == ".json" else _decoded_yaml(text, name)


def _decoded_json(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UnreadableSpec(f"{name}, line {error.lineno}, column {error.colno}: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise UnreadableSpec(f"{name}: {_TOO_MUCH}") from error


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, which also reads 1e-3 as a number and refuses a key that stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key '{key.value}' stands twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


# YAML 1.1, which the library follows, wants a dot and a sign in an exponent: without this, 1e-3 would be a text.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _decoded_yaml(text: str, name: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  # it is a SafeLoader
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UnreadableSpec(f"{name}{place}: {problem or 'is no YAML'}") from error
    except (ValueError, KeyError, AttributeError, RecursionError) as error:
        # The library's constructors of numbers, dates and truth values let these out.
        raise UnreadableSpec(f"{name}: {_TOO_MUCH}") from error
