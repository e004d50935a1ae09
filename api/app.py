"""The application: `uvicorn --factory api.app:create_app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from api import problems
from api.body_limit import BodyLimit
from api.dependencies import State
from api.routers import candidates, confirmations, operations, searches
from config.settings import Settings
from models import connect

_DESCRIPTION = """
Finds hybrid classical-quantum neural networks. Submit a *search*: what may be built, what counts, on which data. It
is advanced by NSGA-II, evaluated by CPU and GPU workers, and its Pareto *front* can be polled while it grows.

A search that has ended can be *confirmed*: its front is trained anew beside controls, and tested on data that no search
sees.

Errors are `application/problem+json` (RFC 9457) with the path of each refused value. Reads that are polled carry an
`ETag`; send it as `If-None-Match`, and an unchanged document answers 304. Lists page by `cursor`.
"""

_POOL_SIZE = 10
#: Who asks would rather be told to come back than wait.
_ANSWER_S = 5.0


def create_app(settings: Settings | None = None) -> FastAPI:
    """Returns the API over the database of the settings, by default those of the environment.

    Raises:
        InvalidSettings: no database is set, or a variable has a wrong value.
    """
    settings = settings or Settings.load()
    engine = connect(settings.require_database_url(), application="api", pool_size=_POOL_SIZE, answer_s=_ANSWER_S)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        engine.dispose()

    app = FastAPI(title="hqnas", version=version("hqnas"), description=_DESCRIPTION, lifespan=lifespan)
    app.state.hqnas = State(engine=engine, settings=settings)
    app.add_middleware(BodyLimit)
    problems.install(app)
    for router in (searches.router, confirmations.router, candidates.router, operations.router):
        app.include_router(router)
    return app
