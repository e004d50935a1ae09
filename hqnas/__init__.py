"""hqnas finds hybrid classical-quantum neural networks: the Python client, the command line and the local launcher.

    from hqnas import Client

    with Client() as client:
        search = client.submit("examples/wine.yaml")
        client.wait(search.id)
        print(client.front(search.id).best())

Names are loaded when they are first used, so that `hqnas --help` does not wait for an HTTP library.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hqnas.client import Client, HqnasError

__version__ = "0.1.0"

__all__ = ["Client", "HqnasError", "__version__"]


def __getattr__(name: str) -> Any:
    if name in ("Client", "HqnasError"):
        from hqnas import client

        return getattr(client, name)
    raise AttributeError(f"module 'hqnas' has no attribute {name!r}")
