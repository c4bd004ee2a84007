"""The public keys that tokens are verified with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192

_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_ALGORITHMS = ("EdDSA", "ES256", "RS256")


class PublicKey:
    """Verifies the tokens that name it, with one algorithm.

    A token's header has no say in how it is used (RFC 8725 section 3.1).
    """

    __slots__ = ("_key", "algorithm", "id", "spki")

    def __init__(self, id: str, algorithm: str, spki: bytes) -> None:
        """Takes a DER SubjectPublicKeyInfo (RFC 5280 section 4.1) in its canonical form. Raises ValueError."""
        if not _KEY_ID.match(id):
            raise ValueError("its id is not 1 to 64 characters out of A-Z a-z 0-9 . _ -")
        if algorithm not in _ALGORITHMS:
            raise ValueError(f"its algorithm is {algorithm[:20]!r}, and not EdDSA, ES256 or RS256")
        try:
            key = load_der_public_key(spki)
        except UnsupportedAlgorithm as error:
            raise ValueError(str(error)) from error
        if _algorithm_of(key) != algorithm:
            raise ValueError(f"it is not a key for {algorithm}")
        if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != spki:
            raise ValueError("it is not in its canonical form")
        if isinstance(key, rsa.RSAPublicKey) and not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
            raise ValueError(f"an RSA key of {key.key_size} bits; {MIN_RSA_BITS} to {MAX_RSA_BITS} are allowed")
        self.id = id
        self.algorithm = algorithm
        self.spki = spki
        self._key = key

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether ``signature`` is this key's over ``message``.

        It has the form of RFC 7518 section 3 (for ES256 the 64 bytes of r and s) and RFC 8037 section 3.1.
        """
        key = self._key
        try:
            if isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(signature, message)
            elif isinstance(key, ec.EllipticCurvePublicKey):
                if len(signature) != 64:
                    return False
                r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
                key.verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))
            elif isinstance(key, rsa.RSAPublicKey):
                key.verify(signature, message, padding.PKCS1v15(), SHA256())
            else:
                return False
        except InvalidSignature:
            return False
        return True


def _algorithm_of(key: object) -> str | None:
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "EdDSA"
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return "ES256"
    if isinstance(key, rsa.RSAPublicKey):
        return "RS256"
    return None


class KeySet:
    """The keys that tokens are accepted from. It is never changed."""

    __slots__ = ("keys", "withdrawals")

    def __init__(self, keys: Iterable[PublicKey] = (), withdrawals: int = 0) -> None:
        self.keys: Mapping[str, PublicKey] = MappingProxyType({key.id: key for key in keys})
        # How often keys were withdrawn before. What was verified with a set of another number may have been signed by a key
        # that is not trusted any more.
        self.withdrawals = withdrawals

    def replaced_by(self, keys: Iterable[PublicKey]) -> KeySet:
        """The set with other keys instead. A key is withdrawn too when another one has its name now."""
        following = KeySet(keys, self.withdrawals)
        for id, old in self.keys.items():
            key = following.keys.get(id)
            if key is None or key.algorithm != old.algorithm or key.spki != old.spki:
                following.withdrawals = self.withdrawals + 1
        return following
