"""What `hqnas export` writes, by the suffix of the file, and where `hqnas weights` does."""

from pathlib import Path
from typing import Final

from hqnas.cli.connection import BEST, candidate_at
from hqnas.client import Client
from hqnas.export import CannotExport, picture, to_csv, to_json

_SUFFIXES: Final = (".csv", ".json", ".png", ".py")


def check_request(output: Path, *, candidate: str | None, is_all: bool) -> None:
    """Refuses what cannot be written, before anything is fetched.

    Raises:
        CannotExport: the suffix is not known, or an option does not go with it.
    """
    suffix = output.suffix.lower()
    if suffix not in _SUFFIXES:
        known = ", ".join(_SUFFIXES)
        raise CannotExport(f"cannot write '{output}': the name of the file has to end in one of {known}")
    if candidate is not None and suffix != ".py":
        raise CannotExport(f"--candidate goes with .py and not with {suffix}, which holds the whole front")
    if is_all and suffix != ".csv":
        raise CannotExport(f"--all goes with .csv and not with {suffix}")


def content_of(
    client: Client, search_id: str, suffix: str, *, place: str | None = None, is_all: bool = False
) -> str | bytes:
    """Returns the content of a file of this kind.

    Raises:
        NotFound: the best member is wanted and the front is empty.
        CannotExport: matplotlib is missing.
    """
    if suffix == ".py":
        return client.candidate(member_id(client, search_id, place)).pennylane
    front = client.front(search_id)
    if suffix == ".csv":
        rows = [c for c in client.candidates(search_id) if c.state == "evaluated"] if is_all else front.items
        return to_csv(rows, front.objectives)
    search = client.search(search_id)
    if suffix == ".json":
        return to_json(search, front)
    candidates = [c for c in client.candidates(search_id) if c.state == "evaluated"]
    return picture(search, candidates, client.generations(search_id), best=front.best())


def check_weights_output(output: Path) -> None:
    """Refuses a name that says something else of the content, before anything is fetched.

    Raises:
        CannotExport: the suffix is not .safetensors.
    """
    if output.suffix.lower() != ".safetensors":
        raise CannotExport(f"cannot write '{output}': the name of the file has to end in .safetensors")


def member_id(client: Client, search_id: str, place: str | None) -> str:
    """Returns the id of the candidate at a place or with an id, by default of the best member."""
    return candidate_at(client, search_id, place or BEST).id
