"""Every setting of every process, read from the environment: `HQNAS_` and the name in capitals.

    HQNAS_DATABASE_URL=postgresql://hqnas:…@db/hqnas HQNAS_BROKER_URL=redis://redis:6379/0 hqnas controller

Durations are seconds. Nothing else in the project reads the environment, except for the marks that the launcher puts on
its processes (hqnas/launcher/lifeline.py).
"""

import contextlib
import os
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict


class InvalidSettings(ValueError):
    """The environment holds a value that no process can start with; the message names the variable."""


class Settings(BaseSettings):
    """What a process is told by its environment. Frozen: made once at the start of a process and passed on."""

    model_config = SettingsConfigDict(env_prefix="HQNAS_", frozen=True)

    home: Path = Field(
        default=Path("~/.local/share/hqnas"), description="data of the embedded PostgreSQL and of the local broker"
    )
    database_url: SecretStr | None = Field(
        default=None, description="postgresql://…; without it, `hqnas up` embeds one"
    )
    broker_url: SecretStr | None = Field(
        default=None, description="redis://… or filesystem:///folder; default: a folder in HQNAS_HOME"
    )
    cache: Path = Field(
        default_factory=lambda: Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "hqnas",
        description="what can be measured anew: the calibrations of engines; by default in the user's cache",
    )
    url: str = Field(default="http://127.0.0.1:8000", description="the API, for the client and the command line")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["console", "json"] = "console"

    lease_s: PositiveFloat = Field(default=30.0, description="an evaluation not renewed for this long is put back")
    renew_s: PositiveFloat = Field(
        default=5.0, validate_default=True, description="how often a worker renews its leases and its own beat"
    )
    worker_timeout_s: PositiveFloat = Field(
        default=30.0, description="a worker or controller silent for this long is taken for dead"
    )
    rering_s: PositiveFloat = Field(
        default=20.0, description="a dispatched evaluation unclaimed for this long is sent again"
    )
    poll_s: PositiveFloat = Field(default=1.0, description="how often a controller looks without being notified")
    dispatch_per_slot: PositiveInt = Field(default=2, description="doorbells in the broker for each worker slot")
    crash_limit: PositiveInt = Field(default=3, description="an evaluation that kills its process so often fails")
    time_limit_s: PositiveFloat = Field(
        default=21_600.0,
        description="an evaluation that runs longer is stopped, which counts as a crash; those of a bundle may run "
        "this long for each, and a confirmation for each of its seeds",
    )
    memory_limit_gib: PositiveFloat | None = Field(
        default=None,
        description="a process whose resident memory grows beyond is stopped, which counts as a crash; by default "
        "nine tenths of the machine's, or of the container's",
    )
    lost_limit: PositiveInt = Field(default=10, description="an evaluation whose worker vanishes so often fails")

    @field_validator("home", "cache")
    @classmethod
    def _expand(cls, folder: Path) -> Path:
        return folder.expanduser().absolute()

    @field_validator("renew_s")
    @classmethod
    def _renew_in_time(cls, renew_s: float, found: ValidationInfo) -> float:
        lease_s = found.data.get("lease_s", renew_s * 2)
        if renew_s * 2 > lease_s:
            # Else what is computed would be put back while it is computed, again and again.
            limit = {"limit": f"{lease_s / 2:g}", "lease": f"{lease_s:g}"}
            raise PydanticCustomError("renew", "has to be at most {limit}, half of HQNAS_LEASE_S ({lease})", limit)
        return renew_s

    @classmethod
    def load(cls) -> Self:
        """Returns the settings of the environment.

        Raises:
            InvalidSettings: a variable has a value of the wrong kind.
        """
        try:
            return cls()
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = "HQNAS_" + "_".join(str(part) for part in first["loc"]).upper()
            raise InvalidSettings(f"{name}: {first['msg']}, not {first['input']!r}") from error

    @property
    def resolved_broker_url(self) -> str:
        """The broker's URL, by default the local folder broker in `home`."""
        if self.broker_url is not None:
            return self.broker_url.get_secret_value()
        return f"filesystem://{self.home / 'broker'}"

    def require_database_url(self) -> str:
        """Returns the database's URL.

        Raises:
            InvalidSettings: none is set, or one of another kind or that cannot be read.
        """
        if self.database_url is None:
            raise InvalidSettings(
                "HQNAS_DATABASE_URL is not set; set it to postgresql://…, or use `hqnas up`, which embeds a database"
            )
        url = self.database_url.get_secret_value()
        if not url.startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
            # Not told as it is: it may hold a password.
            raise InvalidSettings(
                "HQNAS_DATABASE_URL has to begin with postgresql://, the only database that hqnas knows"
            )
        # Only the processes of the service need it, and the client starts sooner without.
        from psycopg import ProgrammingError
        from psycopg.conninfo import make_conninfo
        from sqlalchemy import make_url

        parsed = None
        with contextlib.suppress(ValueError):
            parsed = make_url(url)
        if parsed is None or "@" in (parsed.host or ""):
            # Raised outside of the `except`: that error quotes a piece of the password.
            raise InvalidSettings(
                "HQNAS_DATABASE_URL does not read as postgresql://user:password@host:5432/name; percent-encode what is "
                "special in its password ('@' as %40, '/' as %2F), and let the port be one number"
            )
        try:
            make_conninfo(**dict.fromkeys(parsed.query, ""))
        except ProgrammingError as error:
            raise InvalidSettings(
                f"HQNAS_DATABASE_URL: {str(error).strip()}; "
                "what stands after its '?' are options of PostgreSQL's own client, like sslmode"
            ) from error
        return url
