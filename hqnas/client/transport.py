"""One request to the API: sent, tried again through a short outage, and its refusals turned into our errors.

Only what is known to be transient is tried again: no connection, a connection lost, a timeout, and the answers 429,
502, 503 and 504. A request that may have arrived is sent again only if repeating it is safe: reads, and writes with
an idempotency key. The waits double with jitter, or follow `Retry-After`, and end with the client's patience.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx2 as httpx

from hqnas.client.errors import (
    Conflict,
    HqnasError,
    NotAllowed,
    NotFound,
    RefusedRequest,
    RefusedSpec,
    SpecProblem,
    Unavailable,
    UnexpectedAnswer,
)

_TRANSIENT_STATUS: Final = frozenset({429, 502, 503, 504})
_NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_FIRST_WAIT_S: Final = 0.2
_LONGEST_WAIT_S: Final = 8.0


@dataclass(frozen=True, slots=True)
class Outage:
    """The API is not answering and will be asked again."""

    url: str
    reason: str
    wait_s: float  #: until the next attempt
    patience_left_s: float


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why one attempt gave nothing, and whether it surely had no effect."""

    reason: str
    is_safe: bool
    asked_s: float = 0.0  #: the wait that the server asked for
    cause: Exception | None = None


class Transport:
    """Sends requests to one API. Not to be shared between threads."""

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float,
        patience_s: float,
        transport: httpx.BaseTransport | None,
        on_outage: Callable[[Outage], None] | None,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self.url = url.rstrip("/")
        self.sleep = sleep
        self.clock = clock
        self._patience_s = patience_s
        self._on_outage = on_outage
        self._random = random.Random()  # noqa: S311  # jitter: clients that failed together must not return together
        try:
            self._http = httpx.Client(
                base_url=self.url, timeout=timeout_s, transport=transport, headers={"Accept": "application/json"}
            )
        except httpx.InvalidURL as error:
            raise HqnasError(f"'{url}' is no URL: {error}") from error

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        is_repeatable: bool,
        params: Mapping[str, str | int] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Returns the first answer that is neither transient nor an error; 304 counts as an answer.

        Raises:
            HqnasError: one of its leaves, see `hqnas.client.errors`.
        """
        deadline = self.clock() + self._patience_s
        attempt = 0
        while True:
            try:
                response = self._http.request(method, path, params=params, json=json, headers=headers)
            except httpx.UnsupportedProtocol as error:
                raise HqnasError(f"'{self.url}' is no URL of an API; write http://… or https://…") from error
            except httpx.TransportError as error:
                failure = _Failure(_reason(error), is_safe=isinstance(error, _NEVER_SENT), cause=error)
            else:
                if response.status_code not in _TRANSIENT_STATUS:
                    return self._accepted(response)
                asked_s = _retry_after(response)
                # A server that says when to come back has not begun the work.
                failure = _Failure(_answered(response), is_safe=asked_s is not None, asked_s=asked_s or 0.0)
            if not (is_repeatable or failure.is_safe):
                raise self._unavailable(failure)
            self._wait(failure, attempt, deadline - self.clock())
            attempt += 1

    def _wait(self, failure: "_Failure", attempt: int, left_s: float) -> None:
        backoff_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(attempt, 16)) * self._random.uniform(0.5, 1.0)
        wait_s = max(backoff_s, failure.asked_s)
        if wait_s > left_s:
            raise self._unavailable(failure)
        if self._on_outage is not None:
            self._on_outage(Outage(self.url, failure.reason, wait_s, left_s))
        self.sleep(wait_s)

    def _unavailable(self, failure: "_Failure") -> Unavailable:
        error = Unavailable(f"the API at {self.url} {failure.reason}; is it running, and is HQNAS_URL right?")
        error.__cause__ = failure.cause
        return error

    def _accepted(self, response: httpx.Response) -> httpx.Response:
        if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
            return response
        raise self._refusal(response)

    def _refusal(self, response: httpx.Response) -> HqnasError:
        status, problem = response.status_code, _problem(response)
        detail = str(problem.get("detail") or problem.get("title") or response.reason_phrase)
        match status:
            case 400 | 413 | 422 if _is_submission(response.request) and problem.get("errors"):
                return RefusedSpec(_spec_problems(problem))
            case 422 if problem.get("errors"):
                return RefusedRequest(detail)
            case 401 | 403:
                return NotAllowed(f"the API at {self.url} refused: {detail}")
            case 404 if "title" in problem:
                return NotFound(detail)
            case 404:
                return UnexpectedAnswer(f"there is no hqnas API at {self.url}; is HQNAS_URL right?")
            case 409:
                return Conflict(detail)
        return UnexpectedAnswer(f"the API at {self.url} answered {status}: {detail}")


def _is_submission(request: httpx.Request) -> bool:
    return request.method == "POST" and request.url.path.endswith("/searches")


def _answered(response: httpx.Response) -> str:
    return f"answers {response.status_code} {response.reason_phrase}"


def _reason(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "does not answer in time"
    return f"does not answer ({str(error) or type(error).__name__})"


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        document = response.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _spec_problems(problem: Mapping[str, Any]) -> tuple[SpecProblem, ...]:
    return tuple(SpecProblem(item.get("path", ""), item["message"]) for item in problem["errors"])


def _retry_after(response: httpx.Response) -> float | None:
    """Returns the seconds that the server asks to wait; the header holds seconds or a date."""
    text = response.headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
