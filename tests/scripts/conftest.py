"""One town for the transcripts of a file."""

from collections.abc import Iterator

import pytest

from tests.scripts.town import Town


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Log server and guards that run, and a first head that a quorum cosigned."""
    made = Town(tmp_path_factory.mktemp("town"))
    made.found()
    try:
        made.start_log_and_guards()
        yield made
    finally:
        made.stop()
