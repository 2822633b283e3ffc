"""The endpoint that is asked, and its client."""

import pytest

from .api import ENDPOINT, Shop, connect, delete_all


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
def shop(afd):
    """An event type with a detector, for one test: an account may have a hundred."""
    made = Shop(afd)
    yield made
    made.close()
