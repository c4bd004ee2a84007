"""TLS, with a certificate of one's own where the server asks for one."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from countersign import TLS, Client, Verifier
from fake import FakeServer, quick
from support import PATIENCE


class Authority:
    """Signs certificates and writes them into a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        basic = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = self._builder(self.name, self.key).add_extension(basic, critical=True).sign(self.key, SHA256())
        self.ca = self.write("ca.pem", self.certificate.public_bytes(Encoding.PEM))

    def write(self, name: str, text: bytes) -> Path:
        (self.folder / name).write_bytes(text)
        return self.folder / name

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.timezone.utc)
        hour = datetime.timedelta(hours=1)
        return x509.CertificateBuilder(
            issuer_name=self.name, subject_name=subject, public_key=key.public_key(),
            serial_number=x509.random_serial_number(), not_valid_before=now - hour, not_valid_after=now + hour,
        )  # fmt: skip

    def issue(self, name: str) -> tuple[Path, Path]:
        """Writes name.pem and name.key, for 127.0.0.1 and auth.example."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName(
            [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("auth.example")]
        )  # fmt: skip
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signed = self._builder(subject, key).add_extension(names, critical=False).sign(self.key, SHA256())
        return (
            self.write(f"{name}.pem", signed.public_bytes(Encoding.PEM)),
            self.write(f"{name}.key", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())),
        )

    def serve(self) -> FakeServer:
        """A fake that asks for a certificate of this authority."""
        certificate, key = self.issue("server")
        credentials = grpc.ssl_server_credentials(
            [(key.read_bytes(), certificate.read_bytes())], self.ca.read_bytes(), require_client_auth=True
        )
        return FakeServer(credentials=credentials)


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ours")


@pytest.fixture
def others(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "others")


def test_a_certificate_of_ones_own_that_is_replaced(ours: Authority, others: Authority) -> None:
    server = ours.serve()
    # At first with a certificate that the server does not accept.
    certificate, key = others.issue("client")
    files = TLS(ca_file=ours.ca, cert_file=certificate, key_file=key)
    with Verifier(**quick("") | {"endpoint": f"https://{server.address}", "tls": files}) as verifier:
        assert not verifier.ready(0.3) and server.arrivals.empty()
        for old, new in zip((certificate, key), ours.issue("client"), strict=True):
            old.write_bytes(new.read_bytes())
        stream = server.next()
        stream.started()
        stream.load()
        assert verifier.ready(PATIENCE)
    server.stop()


def test_no_other_authority_and_no_other_name_is_trusted(ours: Authority, others: Authority) -> None:
    server = ours.serve()
    certificate, key = ours.issue("client")
    for ca, name in ((others.ca, None), (None, None), (ours.ca, "another.example")):
        files = TLS(ca_file=ca, cert_file=certificate, key_file=key, server_name=name)
        with Verifier(**quick("") | {"endpoint": f"https://{server.address}", "tls": files}) as verifier:
            assert not verifier.ready(0.2) and server.arrivals.empty()
    files = TLS(ca_file=ours.ca, cert_file=certificate, key_file=key, server_name="auth.example")
    with Verifier(**quick("") | {"endpoint": f"https://{server.address}", "tls": files}):
        server.next().started()
    with Client(f"https://{server.address}", tls=files) as client:
        with pytest.raises(grpc.RpcError) as caught:
            client.logout("refresh")
        # The fake has no such method; it was reached.
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    server.stop()


def test_files_are_checked_at_the_start(ours: Authority, tmp_path: Path) -> None:
    certificate, key = ours.issue("client")
    marked = ours.write("marked.pem", b"\xef\xbb\xbf" + ours.ca.read_bytes())
    secret = ours.write(
        "encrypted.key",
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        ),
    )
    for files, message in (
        (TLS(ca_file=tmp_path / "nowhere"), "nowhere"),
        (TLS(ca_file=key), "."),
        (TLS(ca_file=marked), "byte order mark"),
        (TLS(cert_file=certificate), "needs its key"),
        (TLS(key_file=key), "needs its key"),
        (TLS(cert_file=certificate, key_file=secret), "."),
    ):
        with pytest.raises((OSError, ValueError), match=message):
            Verifier(**quick("") | {"endpoint": "https://a:1", "tls": files})
    with pytest.raises(ValueError, match="not https"):
        Verifier(**quick("127.0.0.1:1") | {"tls": TLS()})
