"""What a queue may hold that is no doorbell of this version."""

import base64
import json
import uuid
from typing import Any

from faults.servers import Servers

from config.settings import Settings
from worker.broker import MESSAGE_VERSION, TASK, make_app, message, queue_of


def garbage(servers: Servers) -> list[bytes]:
    """Returns it as Redis would, beginning with what is no message at all; the last is of a newer version."""
    url = servers.cluster.environment["HQNAS_BROKER_URL"]
    app = make_app(Settings(broker_url=url, home=servers.cluster.folder))

    def doorbell(arguments: Any = None, **changes: Any) -> dict[str, Any]:
        app.send_task(TASK, kwargs=message([str(uuid.uuid4())]), queue="probe", retry=False)
        envelope: dict[str, Any] = json.loads(servers.redis.client.rpop("probe"))  # type: ignore[arg-type]
        envelope["properties"]["delivery_info"]["routing_key"] = queue_of("cpu")
        if arguments is not None:
            envelope["body"] = base64.b64encode(json.dumps([[], arguments, {}]).encode()).decode()
        return {**envelope, **changes}

    whole = doorbell()
    envelopes = [
        *({name: value for name, value in whole.items() if name != missing} for missing in whole),
        doorbell(body="!!!"),
        doorbell(body=base64.b64encode(b"{").decode()),
        doorbell(**{"content-type": "application/x-python-serialize"}),
        doorbell(headers={**whole["headers"], "task": "another.task"}),
        doorbell({}),
        doorbell({"version": "1", "ids": []}),
        doorbell({"version": 1, "ids": ["nothing"]}),
        doorbell({"version": 1, "ids": [str(uuid.uuid4())]}),
        doorbell({"version": MESSAGE_VERSION + 1, "bundle": {"of": "a later version"}}),
    ]
    broken = b'{"__type__": "datetime", "__value__": "x"}'  # kombu decodes more than JSON says
    return [
        b"hello",
        b"\xff\xfe",
        b"",
        b"[1, 2]",
        b"{}",
        b"null",
        broken,
        *(json.dumps(one).encode() for one in envelopes),
    ]
