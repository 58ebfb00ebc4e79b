"""The setting of a host is exact: a misspelt class would allow nothing, or something else."""

import json
from pathlib import Path

import pytest

from answerable.host.files import HomeUnavailable
from answerable.host.settings import make_driver, read_settings


def driver(folder: Path, transaction: object) -> object:
    """Make the driver that such settings name."""
    given = {"kind": "apt", "ecosystem": "debian:12", "transaction": transaction}
    (folder / "settings.json").write_text(json.dumps({"driver": given}))
    return make_driver(read_settings(folder / "settings.json"), folder / "driver")


def test_classes_are_allowed_by_name(tmp_path: Path) -> None:
    """No class, or some of the published ones."""
    assert driver(tmp_path, {})
    assert driver(tmp_path, {"allow": ["setuid", "unit"]})
    assert (tmp_path / "driver/transactions").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("given", [{"allow": ["everything"]}, {"allow": "unit"}, {"alow": []}])
def test_anything_else_is_an_error(tmp_path: Path, given: object) -> None:
    """A class that nobody published, or a member that nobody knows, is refused."""
    with pytest.raises(HomeUnavailable, match="transaction"):
        driver(tmp_path, given)
