"""Where a server is, and how to speak TLS with it."""

from __future__ import annotations

import os
import random
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Union
from urllib.parse import urlsplit

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_Path = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True, slots=True)
class TLS:
    """How to speak TLS with a server.

    A verifier reads the files for each connection, so that what replaces them is used from the next one on; the server ends
    connections after some ten minutes. A client reads them when it connects for the first time.
    """

    ca_file: _Path | None = None
    """The authorities in PEM that the server's certificate must come from. No others are trusted. Without it those of the
    system are (of a client: those that gRPC brings)."""
    cert_file: _Path | None = None
    """The client's own certificate in PEM, for a server that asks for one."""
    key_file: _Path | None = None
    """The private key of ``cert_file``, in PEM and not encrypted."""
    server_name: str | None = None
    """The name that the server's certificate must have, where it is not the host of the endpoint."""

    def read(self, path: _Path | None) -> bytes | None:
        """Reads one of the files, for gRPC. Raises OSError and ValueError."""
        return None if path is None else _read_pem(path)

    def context(self) -> ssl.SSLContext:
        """Reads the files. Raises OSError and ValueError that say what is wrong with them."""
        context = ssl.create_default_context()
        if self.ca_file is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(cadata=_read_pem(self.ca_file).decode("utf-8"))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["h2"])
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("a certificate needs its key, and a key its certificate")
        if self.cert_file is not None and self.key_file is not None:
            _read_pem(self.cert_file)
            _read_pem(self.key_file)
            # A password must not be asked for on a terminal.
            context.load_cert_chain(self.cert_file, self.key_file, password=_no_password)
        return context


def _read_pem(path: _Path) -> bytes:
    pem = Path(path).read_bytes()
    if pem.startswith(_BYTE_ORDER_MARK):
        # OpenSSL does not find what stands behind one.
        raise ValueError(f"{path} begins with a byte order mark; save it without")
    return pem


def _no_password() -> str:
    raise ValueError("the private key is encrypted")


class Endpoint:
    """http://host:port, or https://host[:port] with TLS."""

    def __init__(self, text: str, tls: TLS | None) -> None:
        """Raises ValueError that says what is wrong."""
        try:
            parts = urlsplit(text)
            port, host = parts.port, parts.hostname
        except ValueError as error:
            raise ValueError(f"the endpoint {text!r}: {error}") from error
        if not host or parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
            raise ValueError(f"the endpoint {text!r} is not http://host:port or https://host:port")
        if parts.scheme not in ("http", "https"):
            raise ValueError(f"the endpoint {text!r} begins neither with http:// nor with https://")
        if parts.scheme == "http" and tls is not None:
            raise ValueError(f"the endpoint {text!r} has TLS options, but is not https://")
        self.scheme = parts.scheme
        self.host = host
        self.port = port if port is not None else (443 if parts.scheme == "https" else 80)
        # Such a name is this machine (RFC 6761, section 6.3), and not every resolver knows that.
        self.is_local = host.endswith(".localhost")
        self.tls = (tls or TLS()) if parts.scheme == "https" else None
        self._addresses: list[tuple[int, str]] = []
        if self.tls is not None:
            # A wrong path is known at the start.
            self.tls.context()

    @property
    def authority(self) -> str:
        """The host and the port, as a header says them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def target(self) -> str:
        """What to connect to, as gRPC has it."""
        return f"dns:///127.0.0.1:{self.port}" if self.is_local else f"dns:///{self.authority}"

    def resolve(self) -> None:
        """Looks up the addresses. Raises OSError. It may take as long as the system's resolver does."""
        try:
            host = "127.0.0.1" if self.is_local else self.host
            found = socket.getaddrinfo(host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise OSError(f"{self.host} cannot be looked up: {error}") from error
        # Families in the order of the resolver, and those who connect spread over the addresses of each.
        families = list(dict.fromkeys(int(family) for family, *_ in found))
        addresses = [(int(family), str(address[0])) for family, _, _, _, address in found]
        random.shuffle(addresses)
        self._addresses = sorted(addresses, key=lambda address: families.index(address[0]))

    def connect(self, timeout: float) -> socket.socket:
        """Connects to the first address that answers, by what was resolved last. Raises OSError, ValueError."""
        deadline = time.monotonic() + timeout
        failure: Exception = OSError(f"no address of {self.host} is known")
        for _, address in self._addresses:
            try:
                return self._connect(address, deadline)
            except (OSError, ValueError) as error:
                failure = error
        raise failure

    def _connect(self, address: str, deadline: float) -> socket.socket:
        plain = socket.create_connection((address, self.port), timeout=_left(deadline))
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls is None:
                return plain
            plain.settimeout(_left(deadline))
            secure = self.tls.context().wrap_socket(plain, server_hostname=self.tls.server_name or self.host)
        except BaseException:
            plain.close()
            raise
        if secure.selected_alpn_protocol() != "h2":
            secure.close()
            raise OSError(f"{self.authority} does not speak HTTP/2")
        return secure


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
