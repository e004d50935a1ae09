"""The Celery application: how doorbells travel. It holds no state and expects no answer."""

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

#: Version of the message; a worker that meets a newer one leaves it to a newer worker.
MESSAGE_VERSION: Final = 1

DEVICES: Final = ("cpu", "gpu")

_SOCKET_TIMEOUT_S = 5
#: How often a worker looks into the folder of the local broker.
_POLLING_S = 0.05


def make_app(settings: Settings) -> Celery:
    """Returns the application for the broker of the settings.

    Raises:
        InvalidSettings: the broker's URL is of no known kind.
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
        # A child that imports torch takes longer than Celery's default of 4 s where the pool spawns.
        worker_proc_alive_timeout=120,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=_transport_options(settings),
    )
    return app


def queue_of(device: str) -> str:
    """Returns the name of the queue that workers of a device class listen to."""
    return f"hqnas.{device}"


def message(evaluation_ids: list[str]) -> dict[str, Any]:
    """Returns a doorbell's arguments: a version and a bundle of evaluation ids, nothing else."""
    return {"version": MESSAGE_VERSION, "ids": evaluation_ids}


def _transport_url(settings: Settings) -> str:
    scheme = urlsplit(settings.resolved_broker_url).scheme
    if scheme == "filesystem":
        TRANSPORT_ALIASES["folder"] = "worker.folder_transport:Transport"
        return "folder://"
    if scheme in ("redis", "rediss", "sentinel", "amqp", "amqps"):
        return settings.resolved_broker_url
    raise InvalidSettings(
        f"HQNAS_BROKER_URL: {scheme!r} is no broker that hqnas knows; use redis://host:6379/0 or filesystem:///folder"
    )


def _transport_options(settings: Settings) -> dict[str, Any]:
    url = urlsplit(settings.resolved_broker_url)
    if url.scheme == "filesystem":
        folder = Path(unquote(url.path))
        queued, control = folder / "queued", folder / "control"
        for path in (queued, control):
            path.mkdir(parents=True, exist_ok=True)
        return {
            "data_folder_in": str(queued),
            "data_folder_out": str(queued),
            "control_folder": str(control),
            "polling_interval": _POLLING_S,
        }
    if url.scheme.startswith("redis"):
        return {
            "socket_timeout": _SOCKET_TIMEOUT_S,
            "socket_connect_timeout": _SOCKET_TIMEOUT_S,
            "socket_keepalive": True,
            "health_check_interval": 10,
        }
    return {}
