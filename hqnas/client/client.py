"""The client: one method a thing that a person does with the service."""

import os
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from urllib.parse import quote

import httpx2 as httpx

from hqnas.client.confirmation import Confirmation
from hqnas.client.documents import to_document
from hqnas.client.errors import TimedOut, UnexpectedAnswer
from hqnas.client.results import Candidate, CandidateDetail, Front, Generation, Search
from hqnas.client.transport import Outage, Transport

if TYPE_CHECKING:
    from nas.spec import SearchSpec

T = TypeVar("T")

_PAGE: Final = 100
_KEPT_ANSWERS: Final = 32


class Client:
    """A connection to an hqnas API. One thread; close it, or use it in a `with` block.

    Reads are tried again through outages shorter than `patience_s`, and `submit` too: its idempotency key makes a
    second arrival of the same request answer with the first one's search. Polled reads send the last ETag, so that
    what has not changed costs a 304 and no body.

    Args:
        url: base URL of the API; by default HQNAS_URL, or else http://127.0.0.1:8000.
        timeout_s: of one request.
        patience_s: how long one call keeps trying while the API does not answer.
        on_outage: told before each new attempt.
        transport: what carries requests, for tests and for an API in the same process.
        sleep: how to wait.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        timeout_s: float = 30.0,
        patience_s: float = 60.0,
        on_outage: Callable[[Outage], None] | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = Transport(
            url or _default_url(),
            timeout_s=timeout_s,
            patience_s=patience_s,
            transport=transport,
            on_outage=on_outage,
            sleep=sleep,
            clock=clock,
        )
        self._kept: OrderedDict[str, tuple[str, Any]] = OrderedDict()  # path → (ETag, what was read), oldest first

    @property
    def url(self) -> str:
        """The base URL of the API."""
        return self._transport.url

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def submit(
        self,
        spec: "Mapping[str, Any] | str | os.PathLike[str] | SearchSpec",
        *,
        idempotency_key: str | None = None,
    ) -> Search:
        """Submits a search and returns it, queued.

        Args:
            spec: a mapping, a validated `SearchSpec`, or the path of a YAML or JSON file.
            idempotency_key: the same key and spec submit once; by default a new key for each call.

        Raises:
            UnreadableSpec: the file cannot be read.
            RefusedSpec: the API found problems; each has a path.
            Conflict: the key was used with another spec.
        """
        key = idempotency_key or str(uuid.uuid4())
        response = self._transport.send(
            "POST", "/v1/searches", is_repeatable=True, json=to_document(spec), headers={"Idempotency-Key": key}
        )
        return self._read(response, Search.from_json)

    def search(self, search_id: str) -> Search:
        """Returns a search as it is now."""
        return self._get(_path("searches", search_id), Search.from_json)

    def searches(self, *, state: str | None = None) -> Iterator[Search]:
        """Yields searches, newest first, without their specs; pages are fetched as they are needed."""
        return self._pages("/v1/searches", Search.from_json, {"state": state} if state else {})

    def cancel(self, search_id: str) -> Search:
        """Asks a search to stop and returns it. What was evaluated stays; a search that has ended stays as it is."""
        return self._read(
            self._transport.send("POST", _path("searches", search_id, "cancel"), is_repeatable=False),
            Search.from_json,
        )

    def front(self, search_id: str) -> Front:
        """Returns the front of a search as it is now."""
        return self._get(_path("searches", search_id, "front"), Front.from_json)

    def candidates(self, search_id: str) -> Iterator[Candidate]:
        """Yields the candidates of a search in the order of their proposal."""
        return self._pages(_path("searches", search_id, "candidates"), Candidate.from_json, {})

    def candidate(self, candidate_id: str) -> CandidateDetail:
        """Returns a candidate with its circuit, PennyLane source and training curves."""
        return self._get(_path("candidates", candidate_id), CandidateDetail.from_json)

    def weights(self, search_id: str, candidate_id: str) -> bytes:
        """Returns the fitted parameters of a candidate on the front as a safetensors file.

        Tensors are named by replicate and layer, as in the candidate's PennyLane source: `replicate.0.before.0.weight`,
        `replicate.0.weights` of the circuit, `replicate.0.after.0.bias`.

        Raises:
            NotFound: there is no such candidate, nothing was trained, or its weights are not kept.
        """
        path = _path("searches", search_id, "candidates", candidate_id, "weights")
        return self._transport.send("GET", path, is_repeatable=True, headers={"Accept": "*/*"}).content

    def generations(self, search_id: str) -> tuple[Generation, ...]:
        """Returns the generations of a search so far, with the hypervolume after each."""
        return self._get(
            _path("searches", search_id, "generations"),
            lambda document: tuple(Generation.from_json(item) for item in document["items"]),
        )

    def confirm(
        self,
        search_id: str,
        *,
        seeds: int | None = None,
        members: Sequence[str] | None = None,
        epochs: int | None = None,
        idempotency_key: str | None = None,
    ) -> Confirmation:
        """Asks to confirm candidates of a search that has ended, and returns the new confirmation.

        It opens the test split: each further confirmation of a search says that it is not the first.

        Args:
            search_id: of the search.
            seeds: trainings of each network, at least 3; by default 5.
            members: ids of candidates; by default the whole front.
            epochs: at least the search's, which are the default.
            idempotency_key: the same key confirms once; by default a new key for each call.

        Raises:
            Conflict: the search still runs, trained nothing, has an empty front, or is being confirmed already.
            RefusedRequest: a value is out of bounds.
        """
        given = {"seeds": seeds, "members": None if members is None else list(members), "epochs": epochs}
        response = self._transport.send(
            "POST",
            _path("searches", search_id, "confirmation"),
            is_repeatable=True,
            json={name: value for name, value in given.items() if value is not None},
            headers={"Idempotency-Key": idempotency_key or str(uuid.uuid4())},
        )
        return self._read(response, Confirmation.from_json)

    def confirmation(self, search_id: str, *, number: int | None = None) -> Confirmation:
        """Returns a confirmation of a search as it is now, by default the newest.

        Raises:
            NotFound: there is none.
        """
        path = _path("searches", search_id, "confirmation")
        return self._get(path if number is None else f"{path}?number={number}", Confirmation.from_json)

    def watch_confirmation(self, search_id: str, *, number: int, interval_s: float = 1.0) -> Iterator[Confirmation]:
        """Yields a confirmation now and at each change, until it has ended; the last value is the final state."""
        last: Confirmation | None = None
        while True:
            confirmation = self.confirmation(search_id, number=number)
            if confirmation != last:
                yield confirmation
            if confirmation.has_ended:
                return
            last = confirmation
            self._transport.sleep(interval_s)

    def cancel_confirmation(self, search_id: str) -> Confirmation:
        """Asks the newest confirmation of a search to stop and returns it. What was measured stays."""
        return self._read(
            self._transport.send("POST", _path("searches", search_id, "confirmation", "cancel"), is_repeatable=False),
            Confirmation.from_json,
        )

    def watch(self, search_id: str, *, interval_s: float = 1.0) -> Iterator[Search]:
        """Yields a search now and at each change, until it has ended; the last value is the final state.

        Outages shorter than the client's patience only delay it.
        """
        last: Search | None = None
        while True:
            search = self.search(search_id)
            if search != last:
                yield search
            if search.has_ended:
                return
            last = search
            self._transport.sleep(interval_s)

    def wait(self, search_id: str, *, interval_s: float = 1.0, timeout_s: float | None = None) -> Search:
        """Returns the search once it has ended, in whichever way; look at its `state`.

        Raises:
            TimedOut: it had not ended after `timeout_s`; it goes on.
        """
        started = self._transport.clock()
        while not (search := self.search(search_id)).has_ended:
            if timeout_s is not None and self._transport.clock() - started + interval_s > timeout_s:
                raise TimedOut(f"search {search_id} is still {search.state} after {timeout_s:g} s; it goes on")
            self._transport.sleep(interval_s)
        return search

    def _get(self, path: str, read: Callable[[Any], T]) -> T:
        kept = self._kept.get(path)
        response = self._transport.send(
            "GET", path, is_repeatable=True, headers={"If-None-Match": kept[0]} if kept else None
        )
        if kept and response.status_code == httpx.codes.NOT_MODIFIED:
            self._kept.move_to_end(path)
            value: T = kept[1]  # read by the same `read`: a path has one kind
            return value
        value = self._read(response, read)
        if "ETag" in response.headers:
            self._kept[path] = (response.headers["ETag"], value)
            self._kept.move_to_end(path)
            if len(self._kept) > _KEPT_ANSWERS:
                self._kept.popitem(last=False)
        return value

    def _pages(self, path: str, read: Callable[[Any], T], params: Mapping[str, str]) -> Iterator[T]:
        cursor: str | None = None
        while True:
            page: dict[str, str | int] = {**params, "limit": _PAGE, **({"cursor": cursor} if cursor else {})}
            response = self._transport.send("GET", path, is_repeatable=True, params=page)
            items, cursor = self._read(
                response, lambda document: ([read(item) for item in document["items"]], document["next_cursor"])
            )
            yield from items
            if cursor is None:
                return

    def _read(self, response: httpx.Response, read: Callable[[Any], T]) -> T:
        try:
            return read(response.json())
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnexpectedAnswer(
                f"the API at {self.url} answered {response.request.url.path} in a form that this client does not know "
                f"({type(error).__name__}: {error}); are both of the same version?"
            ) from error


def _path(*parts: str) -> str:
    return "/".join(["/v1", *(quote(part, safe="") for part in parts)])


def _default_url() -> str:
    # Imported here: a client with its own URL needs no settings library.
    from config import Settings

    return Settings.load().url
