"""Hosts are read from outside by readers of the observer's own."""

from pathlib import Path

import httpx
import pytest

from answerable.observe.look import Place, Unseen, dpkg, python
from answerable.observe.ways import ANSWER, look, probe

STATUS = """Package: openssl
Status: install ok installed
Architecture: amd64
Version: 3.0.17-1~deb12u2
Description: x
 Version: not a field

Package: gone
Status: deinstall ok config-files
Version: 1.0

Package: half
Status: install ok half-configured
Version: 1.0

Package: both
Status: install ok installed
Architecture: amd64
Version: 1.0

Package: both
Status: install ok installed
Architecture: i386
Version: 1.1
"""


def test_dpkg_status_is_read(tmp_path: Path) -> None:
    """Only installed packages count; two versions of one package equal no version."""
    file = tmp_path / "var/lib/dpkg/status"
    file.parent.mkdir(parents=True)
    file.write_text(STATUS)
    assert dpkg(tmp_path) == {"openssl": "3.0.17-1~deb12u2", "both": "1.0|1.1"}


def test_environment_is_read(tmp_path: Path) -> None:
    """Project names are normalised; what METADATA's body says does not count."""
    site = tmp_path / "lib/python3.11/site-packages"
    for name, text in (
        ("Flask_Login-0.6.dist-info", "Metadata-Version: 2.1\nName: Flask_Login\nVersion: 0.6\n"),
        ("jinja2-3.1.dist-info", "Name: Jinja2\nVersion: 3.1\n\nVersion: 9.9\n"),
    ):
        (site / name).mkdir(parents=True)
        (site / name / "METADATA").write_text(text)
    assert python(tmp_path) == {"flask-login": "0.6", "jinja2": "3.1"}


def test_nothing_to_see_is_not_an_empty_host(tmp_path: Path) -> None:
    """A root that cannot be read is unseen, never a host without packages."""
    for read in (dpkg, python):
        with pytest.raises(Unseen):
            read(tmp_path)


def _client(status: int = 200, body: bytes = b"ok") -> httpx.Client:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "down":
            raise httpx.ConnectError("refused")
        return httpx.Response(status, content=iter([body]))

    return httpx.Client(transport=httpx.MockTransport(answer))


def test_health_is_status_200_and_nothing_else() -> None:
    """A service that answers anything but 200, too much, or nothing is not well."""
    assert probe(_client(), "http://web1/health") == ""
    assert "503" in probe(_client(503), "http://web1/health")
    assert "ConnectError" in probe(_client(), "http://down/health")
    assert str(ANSWER) in probe(_client(body=b"x" * (ANSWER + 1)), "http://web1/health")


def test_look_is_both(tmp_path: Path) -> None:
    """One look gives versions and the service's trouble."""
    file = tmp_path / "var/lib/dpkg/status"
    file.parent.mkdir(parents=True)
    file.write_text(STATUS)
    sight = look(Place(tmp_path, "dpkg", "http://down/"), _client())
    assert (sight.installed["openssl"], bool(sight.trouble)) == ("3.0.17-1~deb12u2", True)
    assert look(Place(tmp_path, "dpkg"), _client()).trouble == ""


def test_programs_of_a_container_are_seen_from_outside(tmp_path: Path) -> None:
    """Only programs whose root is the container's count, as far as they can be seen."""
    root, proc = tmp_path / "root", tmp_path / "proc"
    (root / "var/lib/dpkg").mkdir(parents=True)
    (root / "var/lib/dpkg/status").write_text(STATUS)
    row = "7f00-7f01 r-xp 00000000 08:01 9 /usr/lib/{}.so (deleted)\n"
    for number, where in ((7, root), (8, tmp_path), (9, tmp_path / "gone")):
        (proc / str(number)).mkdir(parents=True)
        (proc / str(number) / "root").symlink_to(where)
        (proc / str(number) / "comm").write_text("nginx")
        (proc / str(number) / "maps").write_text(row.format(number))
    client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200)))
    assert look(Place(root, "dpkg", proc=proc), client).stale == ["nginx: /usr/lib/7.so"]
    assert look(Place(root, "dpkg"), client).stale == []
