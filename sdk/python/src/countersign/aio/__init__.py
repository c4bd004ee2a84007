"""For services of asyncio: the same verifier and client, whose methods are awaited."""

from typing import TYPE_CHECKING, Any

from ._verifier import Verifier, Watch

if TYPE_CHECKING:
    from ._client import Client

__all__ = ["Client", "Verifier", "Watch"]


def __getattr__(name: str) -> Any:
    # Only those who call need grpcio.
    if name == "Client":
        from ._client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
