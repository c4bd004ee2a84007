"""For tests of a service that has Countersign before it: the real server, in memory, and a world of it for each test.

With pytest, in ``conftest.py``::

    pytest_plugins = ["countersign.testing.plugin"]

and in a test::

    def test_a_revoked_token_is_refused(countersign_world):
        verifier = countersign_world.verifier()
        revoked = countersign_world.access_token(state="revoked")
        with pytest.raises(InvalidTokenError):
            verifier.verify_at_least(revoked.position, revoked.token)

The server is the program ``countersign test-server``: the one that the argument ``binary`` or the variable
``COUNTERSIGN_BIN`` names, or ``countersign`` on the ``PATH``. It ends with the process that has started it, however that ends.
"""

from ._server import StartError, TestServer
from ._world import Minted, State, World

__all__ = ["Minted", "StartError", "State", "TestServer", "World"]
