"""Settings: what is misspelt is an error, and what acts is named by the operator alone."""

import json
from pathlib import Path

import pytest

from answerable.host.drivers.rpm import RpmDriver
from answerable.host.drivers.venv import VenvDriver
from answerable.host.files import HomeUnavailable
from answerable.host.services.service import (
    InitdServices,
    PidfileServices,
    ServiceFailed,
    SystemdServices,
)
from answerable.host.settings import make_driver, make_services, read_settings
from answerable.kernel.canon import Json


def settings(tmp_path: Path, **given: Json) -> Path:
    """Write a settings file."""
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(given))
    return path


def test_the_documented_settings_are_read(tmp_path: Path) -> None:
    """Each member has its meaning; what is left out has its default."""
    path = settings(
        tmp_path, control="http://c", log="http://l", poll=0.5, zones=["pci"],
        checks={"web": {"url": "http://127.0.0.1:80/"}}, guards={"g1": "http://g"},
    )  # fmt: skip
    read = read_settings(path)
    assert (read.poll, read.retry, read.zones) == (0.5, 60, frozenset({"pci"}))
    assert read.checks["web"].port == 80


@pytest.mark.parametrize(
    "given", [{"contro": "x"}, {"poll": "5"}, {"retry": 1.5}, {"zones": "pci"}, {"poll": True}]
)
def test_what_is_misspelt_is_an_error(tmp_path: Path, given: Json) -> None:
    """A rule that nobody reads would be no rule."""
    with pytest.raises(HomeUnavailable, match="is no setting"):
        read_settings(settings(tmp_path, **given))


def test_a_check_of_another_shape_is_an_error(tmp_path: Path) -> None:
    """Also inside."""
    with pytest.raises(ServiceFailed):
        read_settings(settings(tmp_path, checks={"web": {"url": "ftp://x"}}))


def test_drivers_are_made_by_name(tmp_path: Path) -> None:
    """None, one of those there are, or an error."""
    assert make_driver(read_settings(settings(tmp_path)), tmp_path / "d") is None
    venv = read_settings(settings(tmp_path, driver={"kind": "venv", "path": "/srv/app"}))
    assert isinstance(make_driver(venv, tmp_path / "d"), VenvDriver)
    apt = read_settings(settings(tmp_path, driver={"kind": "apt", "ecosystem": "debian:12"}))
    driver = make_driver(apt, tmp_path / "d")
    assert driver is not None
    assert driver.ecosystem == "debian:12"
    rpm = {"kind": "rpm", "ecosystem": "rocky:9"}
    whole = read_settings(settings(tmp_path, driver={**rpm, "transaction": {"allow": ["unit"]}}))
    made = make_driver(whole, tmp_path / "d")
    assert isinstance(made, RpmDriver)
    assert made.ecosystem == "rocky:9"
    for wrong in (
        {"kind": "dnf"},
        {"kind": "apt"},
        {"kind": "venv"},
        {"kind": "venv", "x": 1},
        rpm,
    ):
        with pytest.raises(HomeUnavailable):
            make_driver(read_settings(settings(tmp_path, driver=wrong)), tmp_path / "d")


def test_services_are_made_by_name(tmp_path: Path) -> None:
    """The scripts of /etc/init.d, unless the operator says otherwise."""

    def made(**given: Json) -> object:
        read = read_settings(settings(tmp_path, services=given))
        return make_services(read, tmp_path / "s", lambda _: None)

    assert isinstance(made(), InitdServices)
    assert isinstance(made(kind="systemd"), SystemdServices)
    assert isinstance(made(kind="pidfile", units={"app": ["/bin/true"]}), PidfileServices)
    for wrong in (
        {"kind": "upstart"},
        {"kind": "systemd", "units": {}},
        {"kind": "pidfile", "x": 1},
    ):
        with pytest.raises(HomeUnavailable):
            made(**wrong)
