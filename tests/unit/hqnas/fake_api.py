"""A stand-in for the REST API, in memory, with a clock that only waits move."""

import json
import re
from collections.abc import Callable
from typing import Any

import httpx2 as httpx

SEARCH_ID = "0198a000-0000-7000-8000-000000000001"
OLDER_ID = "0198b000-0000-7000-8000-000000000002"
OBJECTIVES = [
    {"metric": "validation_accuracy", "goal": "maximize", "unit": "share"},
    {"metric": "expressibility", "goal": "minimize", "unit": "nats"},
]
SPEC = {
    "name": "small",
    "dataset": {"name": "moons"},
    "space": {"qubits": [2, 3], "layers": [1, 2]},
    "objectives": [{"metric": "validation_accuracy"}, {"metric": "expressibility"}],
}


class FakeApi:
    """The routes of the service over a few searches and candidates that a test may change."""

    def __init__(self) -> None:
        self.searches = {SEARCH_ID: search_document(), OLDER_ID: search_document(id=OLDER_ID, name="older")}
        self.candidates = [
            candidate_document(0, accuracy=0.90, expressibility=0.5, is_on_front=True),
            candidate_document(1, accuracy=0.95, expressibility=0.8, is_on_front=True),
            candidate_document(2, accuracy=0.60, expressibility=0.9),
            candidate_document(3, state="failed"),
        ]
        self.requests: list[httpx.Request] = []
        self.outages: list[Exception | httpx.Response] = []  #: used up first, one a request
        self.page_size = 100
        self.keys: dict[str, str] = {}
        self.confirmations: list[dict[str, Any]] = []
        self.loses_answers = 0  #: how many of the next submissions are stored without an answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.outages:
            outage = self.outages.pop(0)
            if isinstance(outage, Exception):
                raise outage
            return outage
        for method, pattern, answer in self._routes():
            match = re.fullmatch(pattern, request.url.path)
            if match and method == request.method:
                return answer(request, *match.groups())
        return problem(404, "Not Found", f"there is no {request.url.path}")

    def _routes(self) -> list[tuple[str, str, Callable[..., httpx.Response]]]:
        return [
            ("POST", "/v1/searches", self._submit),
            ("GET", "/v1/searches", lambda r: self._page(r, list(self.searches.values()))),
            ("GET", "/v1/searches/([^/]+)", self._search),
            ("POST", "/v1/searches/([^/]+)/cancel", self._cancel),
            ("GET", "/v1/searches/([^/]+)/front", self._front),
            ("POST", "/v1/searches/([^/]+)/confirmation", self._confirm),
            ("GET", "/v1/searches/([^/]+)/confirmation", self._confirmation),
            ("POST", "/v1/searches/([^/]+)/confirmation/cancel", self._cancel_confirmation),
            ("GET", "/v1/searches/([^/]+)/candidates", lambda r, _: self._page(r, self.candidates)),
            ("GET", "/v1/searches/([^/]+)/candidates/([^/]+)/weights", self._weights),
            ("GET", "/v1/searches/([^/]+)/generations", lambda *_: httpx.Response(200, json={"items": GENERATIONS})),
            ("GET", "/v1/candidates/([^/]+)", self._candidate),
        ]

    def _submit(self, request: httpx.Request) -> httpx.Response:
        key = request.headers["Idempotency-Key"]
        spec = json.loads(request.content)
        if key in self.keys and self.searches[self.keys[key]]["spec"] != spec:
            return problem(409, "Conflict", f"the idempotency key '{key}' was used with another body")
        if key not in self.keys:
            if "space" not in spec:
                return problem(
                    422, "Invalid spec", "1 problem", errors=[{"path": "space", "message": "is required and missing"}]
                )
            self.keys[key] = f"0198c000-0000-7000-8000-00000000000{len(self.keys)}"
            self.searches[self.keys[key]] = search_document(id=self.keys[key], name=spec["name"], spec=spec)
        if self.loses_answers:
            self.loses_answers -= 1
            raise httpx.ReadError("connection lost")
        return httpx.Response(202, json=self.searches[self.keys[key]])

    def _search(self, request: httpx.Request, search_id: str) -> httpx.Response:
        if search_id not in self.searches:
            return problem(404, "Not Found", f"there is no search {search_id}")
        return self._tagged(request, self.searches[search_id])

    def _cancel(self, _: httpx.Request, search_id: str) -> httpx.Response:
        search = self.searches[search_id]
        if search["state"] not in ("finished", "failed"):
            search["state"] = "cancelled"
        return httpx.Response(202, json=search)

    def _front(self, request: httpx.Request, search_id: str) -> httpx.Response:
        if search_id not in self.searches:
            return problem(404, "Not Found", f"there is no search {search_id}")
        search = self.searches[search_id]
        document = {
            "search_id": search_id,
            "revision": search["revision"],
            "objectives": OBJECTIVES,
            "hypervolume": 0.71,
            "reference_point": {"validation_accuracy": 0.0, "expressibility": 3.0},
            "items": [c for c in self.candidates if c["is_on_front"]],
        }
        return self._tagged(request, document)

    def _confirm(self, request: httpx.Request, search_id: str) -> httpx.Response:
        if self.searches[search_id]["state"] == "running":
            return problem(409, "Not confirmable", f"search {search_id} is running, and its front may still change")
        asked = json.loads(request.content)
        if asked.get("epochs") == 1:
            errors = [{"path": "epochs", "message": "1 is below the 20 of the search"}]
            return problem(422, "The request was refused", "epochs: 1 is below the 20 of the search", errors=errors)
        number = len(self.confirmations) + 1
        self.confirmations.append(confirmation_document(number=number, n_seeds=asked.get("seeds", 5), request=asked))
        return httpx.Response(202, json=self.confirmations[-1])

    def _confirmation(self, request: httpx.Request, search_id: str) -> httpx.Response:
        number = int(request.url.params.get("number", len(self.confirmations)))
        if not 1 <= number <= len(self.confirmations):
            return problem(404, "Not Found", f"there is no confirmation of search {search_id}")
        return self._tagged(request, self.confirmations[number - 1])

    def _cancel_confirmation(self, *_: Any) -> httpx.Response:
        self.confirmations[-1] |= {"state": "cancelled", "reason": "cancelled on request"}
        return httpx.Response(202, json=self.confirmations[-1])

    def _candidate(self, _: httpx.Request, candidate_id: str) -> httpx.Response:
        for document in self.candidates:
            if document["id"] == candidate_id:
                return httpx.Response(200, json={**document, **DETAIL})
        return problem(404, "Not Found", f"there is no candidate {candidate_id}")

    def _weights(self, _: httpx.Request, _search_id: str, candidate_id: str) -> httpx.Response:
        for document in self.candidates:
            if document["id"] == candidate_id and document["is_on_front"]:
                content = f"weights of {candidate_id}".encode()
                return httpx.Response(200, content=content, headers={"Content-Type": "application/vnd.safetensors"})
        return problem(404, "No weights", f"candidate {candidate_id} has no weights: it is not on the front")

    def _tagged(self, request: httpx.Request, document: dict[str, Any]) -> httpx.Response:
        etag = f'"{document["revision"]}"'
        if request.headers.get("If-None-Match") == etag:
            return httpx.Response(304, headers={"ETag": etag})
        return httpx.Response(200, json=document, headers={"ETag": etag})

    def _page(self, request: httpx.Request, items: list[dict[str, Any]]) -> httpx.Response:
        if "state" in request.url.params:
            items = [item for item in items if item["state"] == request.url.params["state"]]
        start = int(request.url.params.get("cursor", 0))
        end = start + min(self.page_size, int(request.url.params["limit"]))
        cursor = str(end) if end < len(items) else None
        return httpx.Response(200, json={"items": items[start:end], "next_cursor": cursor})


class FakeClock:
    """Seconds that pass only while somebody sleeps; `during` is run at each sleep."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.waits_s: list[float] = []
        self.during: Callable[[], None] = lambda: None

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.waits_s.append(seconds)
        self.now_s += seconds
        self.during()


def problem(status: int, title: str, detail: str, **more: Any) -> httpx.Response:
    """An RFC 9457 answer."""
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return httpx.Response(status, json=document, headers={"Content-Type": "application/problem+json"})


def search_document(**changes: Any) -> dict[str, Any]:
    progress = {
        "generation": 1,
        "generations": 2,
        "candidates": 4,
        "evaluated": 3,
        "failed": 1,
        "waiting": 0,
        "cached": 0,
        "planned": 8,
        "evaluations_per_second": 1.5,
        "time_left_s": 12.0,
        "hypervolume": 0.71,
        "front_size": 2,
    }
    return {
        "id": SEARCH_ID,
        "name": "small",
        "state": "running",
        "reason": None,
        "spec": SPEC,
        "created_at": "2026-01-02T03:04:05Z",
        "started_at": "2026-01-02T03:04:06Z",
        "finished_at": None,
        "revision": 7,
        "objectives": OBJECTIVES,
        "progress": progress,
        "reference_point": None,
        **changes,
    }


def candidate_document(
    index: int,
    *,
    accuracy: float | None = None,
    expressibility: float | None = None,
    gates: int = 2,
    state: str = "evaluated",
    is_on_front: bool = False,
    **changes: Any,
) -> dict[str, Any]:
    is_known = accuracy is not None
    metrics: dict[str, Any] = {
        "validation_accuracy": {"value": accuracy, "std_error": 0.02, "unit": "share", "version": 1, "protocol": "ab"},
        "expressibility": {"value": expressibility, "std_error": 0.01, "unit": "nats", "version": 1, "protocol": "ab"},
        "two_qubit_gates": {"value": gates, "std_error": "exact", "unit": "count", "version": 1, "protocol": "ab"},
    }
    return {
        "id": f"0198d000-0000-7000-8000-00000000000{index}",
        "search_id": SEARCH_ID,
        "generation": index // 2,
        "index": index % 2,
        "state": state,
        "digest": f"{index:x}" * 64,
        "genome": {
            "qubits": 2,
            "layers": 2,
            "encoding": "angle-y",
            "reuploading": True,
            "rotations": [["ry"], ["ry", "rz"]],
            "entangler": ["cz", None],
            "topology": ["ring", "none"],
            "observable": "z-all",
            "pre_layers": [16, 8],
            "post_layers": [],
            "learning_rate": 0.0123,
        },
        "objectives": {"validation_accuracy": accuracy, "expressibility": expressibility} if is_known else None,
        "violation": 0.0 if is_known else None,
        "metrics": metrics if is_known else {},
        "is_on_front": is_on_front,
        "error": {"class": "FloatingPointError", "message": "loss is not finite"} if state == "failed" else None,
        **changes,
    }


def confirmation_document(*, number: int = 1, n_seeds: int = 5, **changes: Any) -> dict[str, Any]:
    """A confirmation that is over, of one member: better than one control, worse than another, one is void."""
    arms = {
        "classical_net": arm_document(0.95, parameters=71, trained_parameters=71, hidden=4),
        "candidate": arm_document(0.9, two_qubit_gates=6),
        "frozen_circuit": arm_document(0.7, trained_parameters=54, two_qubit_gates=6),
        "no_entanglement": {**arm_document(0.9), "is_void": True, "score": None, "trials": []},
    }
    comparisons = [
        comparison_document("frozen_circuit", 0.2, 0.002, "better"),
        comparison_document("classical_net", -0.05, 0.03, "worse"),
    ]
    member = {
        "candidate_id": "0198d000-0000-7000-8000-000000000000",
        "generation": 0,
        "index": 0,
        "digest": "0" * 64,
        "genome": candidate_document(0)["genome"],
        "state": "evaluated",
        "error": None,
        "learning_rate": 0.1,
        "arms": arms,
        "comparisons": comparisons,
        "sentence": "Test accuracy 0.900: better than its frozen circuit by 0.200, p = 0.002.",
        "engine": {"name": "batched"},
    }
    return {
        "id": f"0198e000-0000-7000-8000-00000000000{number}",
        "search_id": SEARCH_ID,
        "number": number,
        "earlier_on_data": number - 1,
        "state": "finished",
        "reason": "all of its members are measured",
        "notice": None,
        "revision": 3,
        "created_at": "2026-01-02T04:04:05Z",
        "finished_at": "2026-01-02T04:05:05Z",
        "seeds": list(range(n_seeds)),
        "epochs": 20,
        "dataset": {"name": "moons"},
        "training": {"mode": "full-hybrid"},
        "progress": {"members": 1, "measured": 1, "failed": 0, "waiting": 0},
        "metric": {"name": "test_accuracy", "goal": "maximize", "unit": "share", "bounds": [0.0, 1.0]},
        "rows": {"train": 240, "validation": 80, "test": 80},
        "controls": {},
        "notes": [f"This is confirmation {number}."],
        "tests": {"n_tests": 2},
        "members": [member],
        **changes,
    }


def arm_document(mean: float, **changes: Any) -> dict[str, Any]:
    trial = {"epoch": 20, "validation_loss": 0.5, "test_accuracy": mean, "test_loss": 0.25, "error": None}
    return {
        "parameters": 66,
        "trained_parameters": 66,
        "quantum_parameters": 12,
        "two_qubit_gates": 0,
        "hidden": None,
        "is_void": False,
        "score": {"mean": mean, "low": mean - 0.04, "high": mean + 0.04, "n": 5},
        "trials": [{"seed": seed, **trial} for seed in range(2)],
        **changes,
    }


def comparison_document(control: str, difference: float, p_adjusted: float, verdict: str) -> dict[str, Any]:
    return {
        "control": control,
        "difference": {"mean": difference, "low": difference - 0.03, "high": difference + 0.03, "n": 5},
        "test": "paired t",
        "p_value": p_adjusted / 2,
        "p_exact": 0.0625,
        "smallest_p_exact": 0.0625,
        "p_adjusted": p_adjusted,
        "verdict": verdict,
    }


GENERATIONS = [
    {"number": 0, "evaluations": 2, "hypervolume": 0.5, "finished_at": "2026-01-02T03:05:05Z"},
    {"number": 1, "evaluations": 4, "hypervolume": 0.71, "finished_at": "2026-01-02T03:06:05Z"},
]

DETAIL = {
    "circuit": {"qubits": 2},
    "drawing": "0: ──RY──╭●──\n1: ──RY──╰Z──",
    "pennylane": "import pennylane as qml\n",
    "curves": [[{"epoch": 1, "train_loss": 0.7, "validation_loss": 0.6, "validation_accuracy": 0.8}]],
    "evaluation": {
        "id": "e",
        "state": "done",
        "attempt": 1,
        "engine": {"name": "default.qubit"},
        "worker": "w",
        "seconds": 1.0,
        "is_cached": False,
    },
}


class Documents:
    """Makers of the documents above, for tests that need their own."""

    search = staticmethod(search_document)
    candidate = staticmethod(candidate_document)
    confirmation = staticmethod(confirmation_document)
    problem = staticmethod(problem)
    spec = SPEC
    generations = GENERATIONS
    search_id = SEARCH_ID
    older_id = OLDER_ID
