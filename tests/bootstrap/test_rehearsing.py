"""Clones, asked through their programs: grouped, recomputed, kept; silence plans nothing."""

import contextlib
import json
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.bootstrap.rehearsing import Clones, CloneSilent, read_answer, read_effects, spelled
from answerable.changes.rehearse import Asked, Move, Outcome, Rehearsed, Unfit, Unrehearsed, Upgrade
from answerable.config import NotConfigured
from answerable.host.clone import read_job
from answerable.host.transaction.explain import digest
from answerable.kernel.canon import Json

LINES = [{"is": "package", "name": "a", "version": "2"}, {"by": "a", "is": "gone", "path": "/x"}]
SEEN: dict[str, Any] = {
    "effects": digest(LINES),
    "lines": LINES,
    "sensitive": {"unit": ["/x"]},
    "asked": [],
}
PROGRAM = """\
import json, sys
from pathlib import Path
place = Path(sys.argv[1])
line = sys.stdin.buffer.readline()
rest = sys.stdin.buffer.read()
with (place / "jobs").open("ab") as jobs:
    jobs.write(line)
(place / "sent").write_bytes(rest)
sys.stdout.write((place / "answer").read_text())
"""


def up(name: str, ecosystem: str = "debian:12", data: bytes = b"") -> Upgrade:
    """An upgrade of one package from 1 to 2."""
    return Upgrade(ecosystem, (Move(name, "1", "2", sha256(data or name.encode()).hexdigest()),))


class Yard:
    """Artefacts, and a clone whose answers a test writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("artefacts", "effects", "clone"):
            (folder / name).mkdir()
        (folder / "clone/program.py").write_text(PROGRAM)
        words = [sys.executable, str(folder / "clone/program.py"), str(folder / "clone")]
        self.settings: dict[str, Any] = {
            "clones": {"web": {"ecosystem": "debian:12", "run": words}},
            "hosts": {name: {"clone": "web"} for name in ("web1", "web2")},
        }

    def answer(self, *changes: Json, **more: Json) -> None:
        """Write what the clone will answer."""
        said = more or {"changes": list(changes)}
        (self.folder / "clone/answer").write_text(json.dumps(said))

    @property
    def jobs(self) -> list[Json]:
        """The jobs that the clone was given."""
        lines = (self.folder / "clone/jobs").read_bytes().splitlines()
        return [read_job(line) for line in lines]

    def bring(self, wanted: object) -> Path:
        """Bring artefacts: a name's bytes are the name."""
        del wanted
        for name in (b"a", b"b", b"c"):
            (self.folder / "artefacts" / sha256(name).hexdigest()).write_bytes(name)
        return self.folder / "artefacts"

    def ask(self, *asked: Asked, demanded: bool = False) -> Mapping[str, Sequence[Outcome]]:
        """Rehearse."""
        clones = Clones(self.settings, self.folder / "effects", self.bring, demanded=demanded)
        return clones.rehearse(asked)


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """A yard whose clone finds the same for every change."""
    made = Yard(tmp_path)
    made.answer(SEEN)
    return made


def test_hosts_of_one_kind_are_rehearsed_once_and_get_one_hash(yard: Yard) -> None:
    """The job names exact bytes, and holds them; what may be is what the authorization names."""
    allowed = frozenset({"unit"})
    found = yard.ask(Asked("web1", (up("a"),), allowed), Asked("web2", (up("a"),), allowed))
    assert found["web1"] == found["web2"] == [Rehearsed(digest(LINES), ("unit",))]
    (job,) = yard.jobs
    row = {"name": "a", "from": "1", "to": "2", "sha256": sha256(b"a").hexdigest(), "size": 1}
    assert (job["changes"], job["allow"], job["ecosystem"]) == ([[row]], ["unit"], "debian:12")
    assert (yard.folder / "clone/sent").read_bytes() == b"a"


def test_other_versions_or_classes_are_another_rehearsal(yard: Yard) -> None:
    """A hash is of exactly what a host will do; where people decide every class may be."""
    asked = [Asked("web1", (up("a"),), None), Asked("web2", (up("a"),), frozenset())]
    yard.ask(*asked)
    assert [len(job["allow"]) > 10 for job in yard.jobs] == [True, False]


def test_the_list_is_kept_by_its_hash(yard: Yard) -> None:
    """Anybody reads it and recomputes the hash with `sha256sum`."""
    yard.ask(Asked("web1", (up("a"),), None))
    kept = yard.folder / "effects" / digest(LINES)
    assert sha256(kept.read_bytes()).hexdigest() == kept.name
    read = read_effects(yard.folder / "effects", kept.name)
    assert sorted(map(str, read.lines)) == sorted(map(str, LINES))
    assert (read.sensitive, read.asked) == ({"unit": ["/x"]}, [])
    kept.write_bytes(b"another")
    with pytest.raises(CloneSilent, match="another list"):
        read_effects(yard.folder / "effects", kept.name)


def test_what_the_clone_refuses_is_unfit_with_its_paths(yard: Yard) -> None:
    """Whoever reads the plan sees what nobody explains."""
    why = "1 effects are not explained by the named packages: /etc/x: no package ships it"
    yard.answer({"refused": why, "paths": ["/etc/x: .."]}, SEEN)
    found = yard.ask(Asked("web1", (up("a"), up("b")), None))["web1"]
    assert found == [
        Unfit(f"rehearsed on the clone `web`: {why}"), Rehearsed(digest(LINES), ("unit",))
    ]  # fmt: skip


def test_what_has_no_clone_is_unrehearsed_or_unfit_where_the_charter_demands(yard: Yard) -> None:
    """A wheel on a Debian host, and a host of no kind, go on without, but only where they may."""
    asked = [Asked("web1", (up("c", "pypi"), up("a")), None), Asked("app1", (up("a"),), None)]
    found = yard.ask(*asked)
    assert found["web1"] == [Unrehearsed(), Rehearsed(digest(LINES), ("unit",))]
    assert found["app1"] == [Unrehearsed()]
    demanded = yard.ask(*asked, demanded=True)
    assert isinstance(demanded["web1"][0], Unfit)
    assert isinstance(demanded["app1"][0], Unfit)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"error": "be root"}, "cannot rehearse: be root"),
        ({"changes": []}, "something else"),
        ({"changes": [SEEN, SEEN]}, "something else"),
        ({"changes": [{**SEEN, "effects": "ab" * 32}]}, "another hash"),
        ({"changes": [{**SEEN, "more": 1}]}, "something else"),
        ({"changes": [{**SEEN, "lines": ["x"]}]}, "something else"),
        ({"changes": [{**SEEN, "sensitive": {"unit": [["/x"]]}}]}, "something else"),
    ],
)
def test_a_clone_that_answers_something_else_plans_nothing(
    yard: Yard, answer: Json, why: str
) -> None:
    """Nothing is planned as if it had been rehearsed."""
    yard.answer(**answer)
    with pytest.raises(CloneSilent, match=why):
        yard.ask(Asked("web1", (up("a"),), None))


def test_a_clone_that_is_away_plans_nothing(yard: Yard) -> None:
    """Neither a program that is missing nor a socket that nobody holds is a rehearsal."""
    clones = yard.settings["clones"]
    for way in ({"run": ["/nonexistent/program"]}, {"socket": str(yard.folder / "none.sock")}):
        clones["web"] = {"ecosystem": "debian:12", **way}
        with pytest.raises(CloneSilent, match="does not answer"):
            yard.ask(Asked("web1", (up("a"),), None))


def test_a_clone_behind_a_socket(yard: Yard) -> None:
    """The same words over a socket of this machine, so that whoever plans need not be root."""
    path = str(yard.folder / "clone.sock")
    heard = bytearray()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()

        def serve() -> None:
            with listening.accept()[0] as line:
                while data := line.recv(65_536):
                    heard.extend(data)
                line.sendall(json.dumps({"changes": [SEEN]}).encode())

        thread = threading.Thread(target=serve)
        thread.start()
        yard.settings["clones"]["web"] = {"ecosystem": "debian:12", "socket": path}
        found = yard.ask(Asked("web1", (up("a"),), None))
        thread.join()
    assert found["web1"] == [Rehearsed(digest(LINES), ("unit",))]
    job, _, sent = bytes(heard).partition(b"\n")
    assert (read_job(job)["kind"], sent) == ("apt", b"a")


@pytest.mark.parametrize(
    "clones",
    [
        {"web": {"ecosystem": "debian:12"}},
        {"web": {"ecosystem": "debian:12", "root": "/a", "socket": "/b"}},
        {"web": {"ecosystem": "debian:12", "root": "/a", "more": 1}},
        {"web": {"root": "/a"}},
        {"other": {"ecosystem": "debian:12", "root": "/a"}},
    ],
)
def test_settings_are_exact(yard: Yard, clones: Json) -> None:
    """A misspelt clone would rehearse nothing."""
    yard.settings["clones"] = clones
    with pytest.raises(NotConfigured, match="clone"):
        yard.ask(Asked("web1", (up("a"),), None))


def test_the_spelling_is_the_host_s_own() -> None:
    """Planner and host hash the same bytes."""
    assert sha256(spelled(LINES)).hexdigest() == digest(LINES) == digest(LINES[::-1])


@given(st.binary(max_size=200) | st.from_regex(rb'\\{"changes":\\[.{0,40}\\]\\}', fullmatch=True))
def test_any_answer_is_read_or_named(data: bytes) -> None:
    """Untrusted bytes are an answer or a clone that is silent."""
    with contextlib.suppress(CloneSilent):
        assert isinstance(read_answer("web", data, 1), list)
