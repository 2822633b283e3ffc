"""The endpoint that is asked, and its client."""

import pytest

from .api import ENDPOINT, Shop, connect, delete_all, post


@pytest.fixture(scope="session")
def endpoint(request):
    """The endpoint under test: CONTRACT_ENDPOINT, or `fraudstream serve`."""
    return ENDPOINT or request.getfixturevalue("serve").endpoint


@pytest.fixture(scope="session")
def afd(endpoint):
    """A client; when all tests are done, it deletes what they made."""
    client = connect(endpoint)
    yield client
    delete_all(client)


@pytest.fixture
def fault(endpoint):
    """Has the next calls of an operation fail; skips where the endpoint has no such switch."""

    def ask(method, body=""):
        return post(endpoint, None, body, method=method, path="/_fraudstream/faults").status

    if ask("DELETE") != 204:
        pytest.skip("the endpoint has no fault switch: fraudstream serve --faults")

    def inject(operation, error, times=1):
        assert ask("POST", {"operation": operation, "error": error, "times": times}) == 204

    yield inject
    ask("DELETE")


@pytest.fixture
def shop(afd):
    """An event type with a detector, for one test: an account may have a hundred."""
    made = Shop(afd)
    yield made
    made.close()
