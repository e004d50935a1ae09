"""Errors as RFC 9457 problem documents. This is the only place where an HTTP status is chosen for an error."""

from collections.abc import Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from models.database import reason_of
from nas.spec import Problem, problems_from

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"

#: Seconds; a restart of a database takes about so long.
RETRY_AFTER_S = "2"


class FieldProblem(BaseModel):
    """One refused value."""

    path: str = Field(description="where it stands in the document", examples=["space.qubits.min"])
    message: str = Field(examples=["min 5 is above max 2; swap them"])


class ProblemDocument(BaseModel):
    """What went wrong, for a person and for a program (RFC 9457)."""

    type: str = Field(examples=["urn:hqnas:problem:invalid-request"])
    title: str = Field(examples=["The request was refused"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["space.qubits: min 5 is above max 2; swap them"])
    instance: str = Field(examples=["/v1/searches"])
    errors: list[FieldProblem] = Field(default=[], description="every refused value, with its path")


class ApiProblem(Exception):
    """An error with its problem document's fields, raised by routers."""

    def __init__(self, status: int, kind: str, title: str, detail: str, *, problems: Sequence[Problem] = ()) -> None:
        self.status = status
        self.kind = kind
        self.title = title
        self.detail = detail
        self.problems = tuple(problems)
        super().__init__(detail)


def not_found(what: str, identifier: object) -> ApiProblem:
    """Returns the error for an id that is unknown, or another team's."""
    return ApiProblem(404, "not-found", "Not found", f"there is no {what} {identifier}")


def invalid(problems: Sequence[Problem]) -> ApiProblem:
    """Returns the error for a request with refused values."""
    detail = "; ".join(str(problem) for problem in problems)
    return ApiProblem(422, "invalid-request", "The request was refused", detail, problems=problems)


def _not_json(detail: str) -> ApiProblem:
    return ApiProblem(400, "invalid-json", "Not JSON", detail)


def respond(request: Request, problem: ApiProblem, *, headers: dict[str, str] | None = None) -> JSONResponse:
    """Returns the problem document."""
    document = ProblemDocument(
        type=f"urn:hqnas:problem:{problem.kind}",
        title=problem.title,
        status=problem.status,
        detail=problem.detail,
        instance=request.scope["path"],
        errors=[FieldProblem(path=one.path, message=one.message) for one in problem.problems],
    )
    return JSONResponse(document.model_dump(), problem.status, headers=headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Makes every error of the application a problem document."""

    def _on_problem(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, ApiProblem)
        return respond(request, error)

    def _on_validation(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        items: list[Any] = list(error.errors())
        if any(item["type"] == "json_invalid" for item in items):
            reason = items[0].get("ctx", {}).get("error", "")
            return respond(request, _not_json(f"the body is not JSON: {reason}"))
        if any(item["type"] == "missing" and tuple(item["loc"]) == ("body",) for item in items):
            return respond(request, _not_json("the body is empty; send a JSON document"))
        if any(isinstance(item.get("input"), bytes) for item in items):
            detail = "the body is taken for a spec only with the header Content-Type: application/json"
            return respond(request, ApiProblem(415, "unsupported-media-type", "Not announced as JSON", detail))
        # The first part of pydantic's path says body, query or path, which a caller did not write.
        return respond(
            request, invalid(problems_from(items, skip=1, is_of_spec=request.url.path.endswith("/searches")))
        )

    def _on_http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        # FastAPI's, of a body; where it knows the place in the JSON, it raises a RequestValidationError.
        if error.status_code == 400 and isinstance(error.__cause__, ValueError | RecursionError):
            return respond(
                request, _not_json("the body is not JSON that can be read: it is not UTF-8, or nested too deeply")
            )
        problem = ApiProblem(error.status_code, "http", str(error.detail), f"{error.detail}: {request.scope['path']}")
        return respond(request, problem, headers=dict(error.headers or {}))

    def _on_database(request: Request, error: Exception) -> JSONResponse:
        reason = reason_of(error)
        if reason is None:
            raise error
        log.warning("database_unreachable", reason=reason, error=str(error))
        problem = ApiProblem(503, "unavailable", "Unavailable", f"{reason}; try again in a moment")
        return respond(request, problem, headers={"Retry-After": RETRY_AFTER_S})

    def _on_error(request: Request, error: Exception) -> JSONResponse:
        log.error("request_failed", path=request.scope["path"], exc_info=error)
        return respond(request, ApiProblem(500, "internal", "Internal error", "the server's log says more"))

    app.add_exception_handler(ApiProblem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(DBAPIError, _on_database)
    app.add_exception_handler(PoolTimeoutError, _on_database)
    app.add_exception_handler(Exception, _on_error)
