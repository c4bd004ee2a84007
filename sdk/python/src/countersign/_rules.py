"""The rules that an access token is held to."""

from __future__ import annotations

from collections.abc import Collection

from ._cache import TokenCache
from ._claims import Claims, parse_claims
from ._clock import Freshness
from ._jws import parse_jws
from ._key import KeySet
from ._revocations import Revocations
from ._token import InvalidReason, Token

# The longest token that is looked at; no token that Countersign mints is longer.
MAX_TOKEN_BYTES = 8192


class Engine:
    """Verifies tokens against keys and revocations as they are now, and remembers those whose signature it has checked.

    It does no I/O. Any thread may ask; one thread at a time changes keys and revocations.
    """

    __slots__ = ("_audiences", "_issuer", "_leeway", "cache", "freshness", "keys", "max_token_bytes", "revocations")

    def __init__(self, issuer: str, audiences: Collection[str], leeway: int, cached_tokens: int) -> None:
        """``leeway`` is in milliseconds."""
        self._issuer = issuer
        self._audiences = frozenset(audiences)
        self._leeway = leeway
        self.max_token_bytes = MAX_TOKEN_BYTES
        self.keys = KeySet()
        self.revocations = Revocations()
        self.freshness = Freshness()
        self.cache = TokenCache(cached_tokens)

    def verify(self, token: str, audiences: Collection[str] | None, now: int) -> Token | InvalidReason:
        """Decides whether a token may be used at ``now`` with a service that goes by one of the audiences.

        The checks, in this order; the first that fails is the answer:

        1. size and shape: MALFORMED
        2. typ: WRONG_TYPE
        3. kid names a key that is trusted, or UNKNOWN_KEY; and alg is the algorithm of exactly that key, or BAD_SIGNATURE
        4. no header parameter that no token of Countersign has: MALFORMED
        5. the signature: BAD_SIGNATURE
        6. the claims are complete, each of its type: MALFORMED. Nothing of them is read before the signature was verified
        7. iss: WRONG_ISSUER
        8. aud: WRONG_AUDIENCE
        9. exp: EXPIRED
        10. iat, nbf: NOT_YET_VALID
        11. the session and the user's epoch: REVOKED

        A token that is remembered passed 1 to 7, whose outcome does not change for as long as no key is withdrawn.
        """
        if len(token) > self.max_token_bytes:
            return InvalidReason.MALFORMED
        keys = self.keys
        known = self.cache.get(token, keys.withdrawals)
        if known is not None:
            return self._check(known, audiences, now) or known.token
        claims = self._authenticate(token, keys)
        if isinstance(claims, InvalidReason):
            return claims
        reason = self._check(claims, audiences, now)
        # An expired token never becomes good again; one that is revoked or meant for another may come again.
        if reason is not InvalidReason.EXPIRED:
            self.cache.put(token, claims)
        return reason or claims.token

    def _authenticate(self, token: str, keys: KeySet) -> Claims | InvalidReason:
        """Makes the checks 1 to 7 of verify."""
        jws = parse_jws(token, self.max_token_bytes)
        if jws is None:
            return InvalidReason.MALFORMED
        if not jws.is_access_token:
            return InvalidReason.WRONG_TYPE
        if jws.kid is None:
            return InvalidReason.UNKNOWN_KEY
        key = keys.keys.get(jws.kid)
        if key is None:
            return InvalidReason.UNKNOWN_KEY
        if jws.alg != key.algorithm:
            return InvalidReason.BAD_SIGNATURE
        if jws.has_forbidden:
            return InvalidReason.MALFORMED
        if not key.verifies(jws.signing_input, jws.signature):
            return InvalidReason.BAD_SIGNATURE
        claims = parse_claims(jws.payload)
        if claims is None:
            return InvalidReason.MALFORMED
        if claims.issuer != self._issuer:
            return InvalidReason.WRONG_ISSUER
        claims.withdrawals = keys.withdrawals
        return claims

    def _check(self, claims: Claims, audiences: Collection[str] | None, now: int) -> InvalidReason | None:
        """Makes the checks 8 to 11 of verify, whose outcome changes with time and with who asks."""
        if claims.audiences.isdisjoint(audiences or self._audiences):
            return InvalidReason.WRONG_AUDIENCE
        # exp is the first moment at which the token is not accepted any more (RFC 7519 section 4.1.4). No clock has leeway
        # here.
        if now >= claims.expires_at:
            return InvalidReason.EXPIRED
        latest = now + self._leeway
        if claims.issued_at > latest or claims.not_before > latest:
            return InvalidReason.NOT_YET_VALID
        if self.revocations.is_revoked(claims.subject, claims.session, claims.token.epoch):
            return InvalidReason.REVOKED
        return None

    def after_fork(self) -> None:
        """Makes it usable in a child process, whatever other threads of the parent were doing."""
        self.cache.after_fork()
        self.revocations.after_fork()
