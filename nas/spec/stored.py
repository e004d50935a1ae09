"""Specs as they are stored, which an earlier version may have written.

A stored spec holds all keys of the version that stored it, so one that is absent did not exist then. Most keys came
with a default that means what was done before, and need nothing here; these did not.
"""

from typing import Any

from nas.spec.errors import parse_spec
from nas.spec.search import SearchSpec

#: What was done before the key existed, by section and key.
_BEFORE: dict[str, dict[str, Any]] = {"algorithm": {"noise": "ignore"}}


def parse_stored(document: dict[str, Any]) -> SearchSpec:
    """Returns the spec of a stored document, as the version that stored it understood it.

    Raises:
        InvalidSpec: this version cannot read it.
    """
    older = {section: before | document[section] for section, before in _BEFORE.items() if section in document}
    return parse_spec({**document, **older})
