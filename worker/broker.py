"""The Celery application: how doorbells travel. It holds no state and expects no answer."""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from celery import Celery
from kombu import Exchange, Queue
from kombu.transport import TRANSPORT_ALIASES

from config.settings import InvalidSettings, Settings

TASK: Final = "hqnas.evaluate"

#: The key of the application's configuration under which a worker's processes find their board.
BOARD: Final = "hqnas_board"

#: Version of the message. A worker refuses a newer one, and the sweep rings again until a newer worker answers.
MESSAGE_VERSION: Final = 1

DEVICES: Final = ("cpu", "gpu")

#: How long a process of the pool may take to start. One that is spawned imports torch, and CUDA.
STARTING_S: Final = 120

_REDIS: Final = ("redis", "rediss")
#: Brokers whose databases have numbers.
_NUMBERED: Final = (*_REDIS, "sentinel")
_SOCKET_TIMEOUT_S = 5
_HEALTH_CHECK_S = 10
#: How often a worker looks into the folder of the local broker.
_POLLING_S = 0.05


def make_app(settings: Settings) -> Celery:
    """Returns the application for the broker of the settings.

    Raises:
        InvalidSettings: the broker's URL is of no known kind, or cannot be read.
    """
    app = Celery("hqnas", broker=_transport_url(settings), include=["worker.task"])
    exchange = Exchange("hqnas", type="direct")
    app.conf.update(
        task_queues=[Queue(queue_of(device), exchange, routing_key=queue_of(device)) for device in DEVICES],
        task_default_queue=queue_of("cpu"),
        # Late and once: our leases decide what runs again, so Celery must neither retry nor requeue.
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        worker_prefetch_multiplier=1,
        task_ignore_result=True,
        result_backend=None,
        task_serializer="json",
        accept_content=["json"],
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_proc_alive_timeout=STARTING_S,
        # How long a slot is kept for the answer of a process that died; nobody here waits for answers.
        worker_lost_wait=1.0,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A Redis whose disk is full, or that was made a replica, refuses commands on a sound connection.
        broker_channel_error_retry=True,
        broker_transport_options=_transport_options(settings),
    )
    return app


def queue_of(device: str) -> str:
    """Returns the name of the queue that workers of a device class listen to."""
    return f"hqnas.{device}"


def message(evaluation_ids: list[str]) -> dict[str, Any]:
    """Returns a doorbell's arguments: a version and a bundle of evaluation ids, nothing else."""
    return {"version": MESSAGE_VERSION, "ids": evaluation_ids}


class MessageRefused(ValueError):
    """A doorbell that this version cannot answer. What it meant to name is rung again by the sweep."""


def ids_in(arguments: Mapping[str, Any]) -> list[uuid.UUID]:
    """Returns the evaluations that a doorbell names.

    Raises:
        MessageRefused: it is of a newer version, or not one that `message` made.
    """
    version, ids = arguments.get("version"), arguments.get("ids")
    if not isinstance(version, int):
        raise MessageRefused(f"its version is {version!r}, not a number")
    if version > MESSAGE_VERSION:
        raise MessageRefused(f"its version is {version}, and this worker knows {MESSAGE_VERSION}")
    try:
        return [uuid.UUID(text) for text in ids or ()]
    except (TypeError, ValueError, AttributeError) as error:
        raise MessageRefused(f"its ids are {ids!r:.100}, not a list of ids") from error


def _transport_url(settings: Settings) -> str:
    url = settings.resolved_broker_url
    scheme = _scheme_of(url)
    if scheme == "filesystem":
        TRANSPORT_ALIASES["folder"] = "worker.folder_transport:Transport"
        return "folder://localhost"  # without a host, kombu warns that it takes this one
    if scheme in _REDIS:
        TRANSPORT_ALIASES[scheme] = "worker.redis_transport:Transport"
    if scheme in (*_REDIS, "sentinel", "amqp", "amqps"):
        # Kombu takes several addresses, for when the first does not answer.
        for address in url.split(";"):
            _check_address(address if "://" in address else f"{scheme}://{address}")
        return url
    which = f"{scheme!r} is no broker that hqnas knows" if scheme else "it does not begin with the name of a broker"
    raise InvalidSettings(f"HQNAS_BROKER_URL: {which}; use redis://host:6379/0 or filesystem:///folder")


def _scheme_of(url: str) -> str:
    # Not by urlsplit, which refuses some passwords that are not encoded.
    scheme, mark, _ = url.partition("://")
    return scheme.lower() if mark else ""


def _check_address(address: str) -> None:
    """Refuses what kombu cannot read, or would read as another address.

    Raises:
        InvalidSettings: it is such a one; what it is stays untold where it may be the password.
    """
    try:
        url = urlsplit(address)
        # The address ends at the first '/', '?' or '#', also of a password: its port is then no number, or '@' follows.
        is_misread = url.port == 0 or (url.scheme in _NUMBERED and "@" in url.path + url.query + url.fragment)
    except ValueError:
        is_misread = True
    if is_misread:
        # Raised outside of the `except`: that error quotes a piece of the password.
        raise InvalidSettings(
            "HQNAS_BROKER_URL does not read as redis://:password@host:6379/0; percent-encode what is special in its "
            "password ('@' as %40, '/' as %2F), and let the port be one number"
        )
    database = unquote(url.path).removeprefix("/").removeprefix("/")
    if url.scheme in _NUMBERED and database and not database.isdecimal():
        raise InvalidSettings(
            f"HQNAS_BROKER_URL names the Redis database {database!r}, which is no number; write redis://host:6379/0"
        )


def _transport_options(settings: Settings) -> dict[str, Any]:
    scheme = _scheme_of(settings.resolved_broker_url)
    if scheme == "filesystem":
        folder = Path(unquote(urlsplit(settings.resolved_broker_url).path))
        queued, control = folder / "queued", folder / "control"
        for path in (queued, control):
            path.mkdir(parents=True, exist_ok=True)
        return {
            "data_folder_in": str(queued),
            "data_folder_out": str(queued),
            "control_folder": str(control),
            "polling_interval": _POLLING_S,
        }
    if scheme in _NUMBERED:
        return {
            "socket_timeout": _SOCKET_TIMEOUT_S,
            "socket_connect_timeout": _SOCKET_TIMEOUT_S,
            "socket_keepalive": True,
            # A worker that waits on a connection which died silently opens a new one after 21 s at most.
            "health_check_interval": _HEALTH_CHECK_S,
            # Of publishing: who cannot connect at once says so; kombu would try for six seconds.
            "max_retries": 0,
        }
    return {}
