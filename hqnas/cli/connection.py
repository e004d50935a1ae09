"""The client of a command, and ids as a person writes them: whole, begun, or `latest`."""

from itertools import islice
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from hqnas.client import Candidate, Client, Outage

#: Patience of a command that asks once, where a person waits for the answer.
ASKING_S: Final = 5.0
#: Patience of a command that watches: long enough for the API to be started anew.
WATCHING_S: Final = 300.0

BEST: Final = "best"  #: in place of a place: the best member of the front

_UUID_LENGTH: Final = 36
_NEWEST: Final = frozenset({"latest", "last"})
_LOOKED_THROUGH: Final = 1_000  #: searches in which the beginning of an id is looked for


def connect(context: typer.Context, *, patience_s: float = ASKING_S) -> "Client":
    """Returns a client of the API that the command line or the environment names."""
    from hqnas.client import Client

    return Client(context.obj, patience_s=patience_s, on_outage=_Teller())


class _Teller:
    """Says once an outage that the API is asked again, so that a waiting command does not look dead."""

    def __init__(self) -> None:
        self._last_left_s = 0.0

    def __call__(self, outage: "Outage") -> None:
        # A new call begins with all its patience: more is left than at the last attempt.
        if outage.patience_left_s > self._last_left_s:
            typer.echo(
                f"hqnas: the API at {outage.url} {outage.reason}; trying for {outage.patience_left_s:.0f} s more",
                err=True,
            )
        self._last_left_s = outage.patience_left_s


def search_id(client: "Client", text: str) -> str:
    """Returns the id of the search that a person means.

    Raises:
        NotFound: no search begins so.
        HqnasError: more than one does.
    """
    from hqnas.client import HqnasError, NotFound

    if text in _NEWEST:
        newest = next(client.searches(), None)
        if newest is None:
            raise NotFound("there is no search yet; make one with `hqnas submit FILE`")
        return newest.id
    if "/" in text:
        raise NotFound(f"'{text}' is a candidate of a search; name the search alone: '{text.partition('/')[0]}'")
    if len(text) >= _UUID_LENGTH:
        return text
    ids = [search.id for search in islice(client.searches(), _LOOKED_THROUGH) if search.id.startswith(text.lower())]
    if not ids:
        raise NotFound(f"no search has an id that begins with '{text}'; see `hqnas list`")
    if len(ids) > 1:
        raise HqnasError(f"{len(ids)} searches have an id that begins with '{text}'; write more of it")
    return ids[0]


def candidate_id(client: "Client", text: str) -> str:
    """Returns the id of the candidate that a person means: an id, SEARCH/GENERATION.INDEX or SEARCH/best."""
    from hqnas.client import NotFound

    if len(text) >= _UUID_LENGTH and "/" not in text:
        return text
    search, slash, place = text.partition("/")
    if not slash:
        raise NotFound(
            f"'{text}' is no whole id of a candidate; write SEARCH/GENERATION.INDEX, such as latest/2.14, "
            "or SEARCH/best"
        )
    return candidate_at(client, search_id(client, search), place).id


def candidate_at(client: "Client", search: str, place: str) -> "Candidate":
    """Returns the candidate of a search with this id or at this place, GENERATION.INDEX or `best`.

    Raises:
        NotFound: the search has no such candidate, or no front to have a best member.
    """
    from hqnas.client import NotFound

    if place == BEST:
        best = client.front(search).best()
        if best is None:
            raise NotFound(f"the front of search {search} is empty, so it has no best member")
        return best
    for candidate in client.candidates(search):
        if place in (f"{candidate.generation}.{candidate.index}", candidate.id):
            return candidate
    raise NotFound(f"search {search} has no candidate '{place}'; places are GENERATION.INDEX, as `hqnas front` shows")
