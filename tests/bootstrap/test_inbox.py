"""What hosts tell the control plane of themselves."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from answerable.bootstrap import inbox as inboxes
from answerable.bootstrap.inbox import Inbox, inbox_route
from answerable.inventory.installed import Inventory
from answerable.kernel.errors import Refused
from tests.inventory.test_signed import FLEET, LISTED, NOW, posted
from tests.simulator import Simulator


@pytest.fixture(scope="module")
def hosts() -> str:
    """The file of hosts of a fleet whose web1 is enrolled."""
    enrolled = Simulator().members["web1"].enrolled
    return json.dumps([{
        "record": enrolled.record, "enrolment": enrolled.enrolment, "place": enrolled.place,
        "path": [step.hex() for step in enrolled.path],
    }])  # fmt: skip


@pytest.fixture
def inbox(tmp_path: Path, hosts: str) -> Inbox:
    """An inbox of that fleet."""
    (tmp_path / "hosts.json").write_text(hosts)
    return Inbox(tmp_path, FLEET)


def test_what_was_told_is_kept_and_read_again(inbox: Inbox, tmp_path: Path) -> None:
    """The host's own words stay on disk, so that anybody can check them again."""
    told, seen = inbox.take(posted(), NOW)
    assert seen == NOW
    assert [package.package for package in told.packages] == ["libssl3", "passwd"]
    assert told.zones == {"web"}
    again = Inbox(tmp_path, FLEET).told("web1", NOW + 10)
    assert again == (told, NOW)
    assert inbox.told("web2", NOW) is None


def test_a_sign_of_life_is_enough_while_nothing_changes(inbox: Inbox) -> None:
    """The list is sent once; then only its name, with a newer time."""
    inbox.take(posted(), NOW)
    told, seen = inbox.take(posted(send="", time=NOW + 60), NOW + 60)
    assert (len(told.packages), seen) == (2, NOW + 60)
    assert inbox.told("web1", NOW + 60) == (told, NOW + 60)
    with pytest.raises(Refused, match="duplicate"):
        inbox.take(posted(), NOW + 60)


def test_a_clock_ahead_makes_nobody_known_for_longer(inbox: Inbox) -> None:
    """A host's time counts at most as ours."""
    assert inbox.take(posted(time=NOW + 100), NOW)[1] == NOW


def test_who_is_not_enrolled_is_refused(inbox: Inbox) -> None:
    """Anybody can make a key; only an enrolled one speaks for a host."""
    with pytest.raises(Refused) as refused:
        inbox.take(posted(who="web2", host="web2"), NOW)
    assert refused.value.reason == "not_enrolled"


@pytest.fixture
def heard() -> list[tuple[Inventory, int]]:
    """What reaches the store."""
    return []


@pytest.fixture
def client(inbox: Inbox, heard: list[tuple[Inventory, int]]) -> Iterator[TestClient]:
    """A control plane that hosts post to."""

    def record(inventory: Inventory, seen: int) -> None:
        heard.append((inventory, seen))

    with TestClient(Starlette(routes=[inbox_route(inbox, record, lambda: NOW)])) as made:
        yield made


def test_a_host_posts(client: TestClient, heard: list[tuple[Inventory, int]]) -> None:
    """What is verified reaches the store; a refusal says its word and reaches nothing."""
    answer = client.post("/inventory", content=posted())
    assert (answer.status_code, answer.json()) == (200, {"host": "web1", "packages": 2})
    assert [(each.host, seen) for each, seen in heard] == [("web1", NOW)]
    answer = client.post("/inventory", content=posted())
    assert (answer.status_code, answer.json()["reason"]) == (403, "duplicate")
    answer = client.post("/inventory", content=posted(listed="[]", send="", time=NOW + 1))
    assert (answer.status_code, answer.json()["reason"]) == (403, "unknown_subject")
    assert len(heard) == 1


def test_a_flood_of_bytes_is_cut_off(
    client: TestClient, heard: list[tuple[Inventory, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody fills the memory of the control plane."""
    monkeypatch.setattr(inboxes, "SIZE", len(LISTED))
    assert client.post("/inventory", content=posted()).status_code == 413
    assert heard == []
