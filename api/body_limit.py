"""A limit on the size of request bodies, which neither FastAPI nor uvicorn has."""

import json
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import MEDIA_TYPE

MAX_BODY_BYTES: Final = 1 << 20


class BodyLimit:
    """Answers 413 to a body that is announced, or turns out, to be too large; no more than the limit is read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on with its body, which is read here, once."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        body = b"" if announced.isdigit() and int(announced) <= MAX_BODY_BYTES else None
        more = body is not None
        while more and body is not None:
            part = await receive()
            if part["type"] == "http.disconnect":
                return
            body += part.get("body", b"")
            more = part.get("more_body", False)
            if len(body) > MAX_BODY_BYTES:
                body = None
        if body is None:
            await _refuse(scope, send)
            return
        await self._app(scope, _replay(body, receive), send)


def _replay(body: bytes, receive: Receive) -> Receive:
    is_sent = False

    async def replay() -> Message:
        nonlocal is_sent
        if is_sent:
            return await receive()
        is_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _refuse(scope: Scope, send: Send) -> None:
    document = {
        "type": "urn:hqnas:problem:too-large",
        "title": "The body is too large",
        "status": 413,
        "detail": f"a body holds at most {MAX_BODY_BYTES} bytes",
        "instance": scope["path"],
        "errors": [],
    }
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(document).encode()})
