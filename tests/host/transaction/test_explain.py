"""Nothing is explained but what a hash-pinned package ships, says, or no longer ships."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from answerable.host.driver import TransactionDiffers
from answerable.host.transaction.debian import database
from answerable.host.transaction.debian.dpkg import Host
from answerable.host.transaction.explain import Explainer, digest, effect, sensitive
from answerable.host.transaction.port import Look
from answerable.host.transaction.rehearsal import Rehearsal
from tests.host.transaction.debs import NEW_STATUS, STATUS, change, deb, file

OLD, TWO = file(b"one", 0o755), file(b"two", 0o755)
CAPABLE = (("security.capability", "01"),)
TOOL = "/usr/bin/tool"


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    """A host on which `tool` 1 and `other` 7 are installed; /bin is a link, as on Debian."""
    info = tmp_path / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "var/lib/dpkg/status").write_bytes(STATUS)
    listed = "/.\n/usr\n/usr/bin\n/usr/bin/tool\n/usr/bin/old\n/usr/share/both\n"
    (info / "tool.list").write_text(listed)
    (info / "other.list").write_text("/.\n/usr/bin/other\n/usr/share/both\n")
    return tmp_path


def why(root: Path, path: str, before: Look | None, after: Look | None) -> str:
    """Tell why one change is not explained; nothing if it is."""
    made = Explainer([deb()], Host(root, [deb()])).explain(
        [change(path, before, after)], lambda _: True
    )
    return made.unexplained[0].why if made.unexplained else ""


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        (TOOL, OLD, TWO),
        (TOOL, None, TWO),
        (TOOL, replace(OLD, mode=0o4755), replace(TWO, mode=0o4755)),
        (TOOL, replace(OLD, attributes=CAPABLE), replace(TWO, attributes=CAPABLE)),
        ("/usr/bin/t", None, Look("link", target="tool")),
        ("/usr/bin/old", OLD, None),
        ("/etc/tool.conf.dpkg-dist", None, file(b"new")),
        ("/var/log/tool.log", None, file(b"log")),
        ("/var/lib/dpkg/info/tool.postinst", None, file(b"#!/bin/sh\n")),
    ],
)
def test_explained(root: Path, path: str, before: Look | None, after: Look | None) -> None:
    """What is shipped, with the rights that are shipped or were there, is explained."""
    assert why(root, path, before, after) == ""


@pytest.mark.parametrize(
    ("path", "before", "after", "said"),
    [
        (TOOL, OLD, file(b"trojan", 0o755), "other bytes"),
        (TOOL, OLD, replace(TWO, mode=0o4755), "mode 4755"),
        (TOOL, OLD, replace(TWO, uid=99999), "owner 99999"),
        (TOOL, OLD, replace(TWO, attributes=CAPABLE), "capabilities"),
        (TOOL, replace(OLD, attributes=CAPABLE), TWO, "capabilities"),
        (TOOL, OLD, Look("link", target="/srv/evil"), "a link where a file"),
        (TOOL, OLD, None, "gone, though"),
        (TOOL, None, Look("other", 0o666), "a other where"),
        ("/usr/bin/t", None, Look("link", target="/srv/evil"), "other bytes"),
        ("/usr/bin", Look("dir", 0o755), Look("dir", 0o777), "mode 0777"),
        ("/usr/bin/other", OLD, TWO, "another package"),
        ("/usr/bin/other", OLD, None, "gone, and no named package"),
        ("/usr/share/both", OLD, None, "another package has it too"),
        ("/etc/passwd", OLD, TWO, "nobody ships it"),
        ("/etc/cron.d/evil", None, TWO, "no named package ships it"),
        ("/etc/tool.conf.dpkg-dist", None, file(b"mine"), "no named package"),
        ("/etc/other.conf.dpkg-dist", None, file(b"new"), "no named package"),
        ("/var/lib/dpkg/info/tool.postinst", None, file(b"#!/bin/evil\n"), "not as it is shipped"),
        ("/var/lib/dpkg/info/tool.prerm", None, file(b"x"), "not as it is shipped"),
        ("/var/lib/dpkg/info/other.postinst", None, file(b"x"), "nobody named"),
        ("/var/lib/dpkg/info/tool.postinst", OLD, None, "gone, though"),
        ("/var/lib/dpkg/diversions", OLD, TWO, "nobody ships it"),
    ],
)  # fmt: skip
def test_unexplained(
    root: Path, path: str, before: Look | None, after: Look | None, said: str
) -> None:
    """Each thing that a script may do besides is named with why."""
    assert said in why(root, path, before, after)


def test_data_of_a_service_is_flagged_as_live(root: Path) -> None:
    """A script that must touch a service's data is for the live mode, and says so."""
    made = Explainer([deb()], Host(root, [deb()])).explain(
        [change("/var/lib/tool/db", None, TWO), change("/opt/x", None, TWO)], lambda _: True
    )
    assert [u.live for u in made.unexplained] == [True, False]


def test_status_file_is_explained_by_the_packages(root: Path, tmp_path: Path) -> None:
    """The database's own change becomes one effect a package, whatever else is installed."""
    text = tmp_path / "status"
    for data, good in ((NEW_STATUS, True), (NEW_STATUS.replace(b"7", b"8"), False)):
        text.write_bytes(data)
        one = change(database.STATUS, file(STATUS), file(data), text)
        made = Explainer([deb()], Host(root, [deb()])).explain([one], lambda _: True)
        assert (made.unexplained == []) == good
        assert made.effects == [{"is": "package", "name": "tool", "version": "2"}]


def test_linked_folders_and_diversions_and_overrides(root: Path) -> None:
    """The host's own say about where files lie, and with which rights, is followed."""
    (root / "var/lib/dpkg/diversions").write_text("/bin/tool\n/bin/tool.real\nother\n")
    (root / "var/lib/dpkg/statoverride").write_text("root root 4711 /usr/bin/tool.real\n")
    made = deb()
    made.files["/bin/tool"] = made.files.pop(TOOL)
    after = replace(TWO, mode=0o4711)
    explainer = Explainer([made], Host(root, [made]))
    found = explainer.explain([change("/usr/bin/tool.real", OLD, after)], lambda _: True)
    assert found.unexplained == []
    assert found.sensitive == {"setuid": ["/usr/bin/tool.real"]}


def test_what_is_computed_is_never_taken(root: Path) -> None:
    """The loader's cache and byte code are computed anew; byte code without a source may go."""
    path = "/usr/lib/python3/__pycache__/x.cpython-311.pyc"
    rows = [change("/etc/ld.so.cache", OLD, TWO), change(path, OLD, TWO)]
    made = Explainer([deb()], Host(root, [deb()])).explain(rows, lambda _: True)
    assert (made.commit, made.compute) == ([], rows)
    gone = [change(path, OLD, None)]
    made = Explainer([deb()], Host(root, [deb()])).explain(gone, lambda _: False)
    assert (made.commit, made.compute) == (gone, [])


def test_hash_of_the_effects_is_the_same_in_any_order() -> None:
    """One list, one hash: what people approve is what each host compares."""
    effects = [effect(change(p, None, TWO), "tool") for p in ("/b", "/a")]
    assert digest(effects) == digest(reversed(effects))
    assert digest(effects[:1]) != digest(effects)
    told = {"by": "tool", "is": "file", "mode": "0755", "owner": "root:root", "path": "/a",
            "sha256": TWO.sha256}  # fmt: skip
    assert effects[1] == told


def test_hash_is_that_of_the_page() -> None:
    """docs/spec/effects.md's example, to the byte."""
    page = (Path(__file__).parents[3] / "docs/spec/effects.md").read_text("utf-8")
    effects = [
        {"is": "package", "name": "tool", "version": "2"},
        effect(change("/usr/bin/old", OLD, None), "tool"),
        effect(change("/usr/bin/t", None, Look("link", target="tool")), "tool"),
        effect(change(TOOL, OLD, TWO), "tool"),
    ]
    assert digest(effects) in page
    block = page.partition("```\n")[2].partition("```")[0]
    assert hashlib.sha256(block.encode()).hexdigest() == digest(effects)


def test_sensitive_classes_must_be_allowed(root: Path) -> None:
    """A declared sensitive effect is refused, with its class and path, unless it is allowed."""
    made = deb()
    made.files["/etc/cron.d/tool"] = made.files["/etc/tool.conf"]
    one = change("/etc/cron.d/tool", None, file(b"new"))
    found = Explainer([made], Host(root, [made])).explain([one], lambda _: True)
    rehearsal = Rehearsal(found, "", found.sensitive, (), None)  # type: ignore[arg-type]
    rehearsal.refuse(["cron"])
    with pytest.raises(TransactionDiffers, match="cron") as caught:
        rehearsal.refuse(["unit"])
    assert caught.value.also == ("/etc/cron.d/tool: cron",)
    assert sensitive(found.sensitive) == ["cron"]


def test_unexplained_effects_are_refused_whatever_is_allowed(root: Path) -> None:
    """No class lets in what nobody explains."""
    one = change("/etc/cron.d/evil", None, TWO)
    found = Explainer([deb()], Host(root, [deb()])).explain([one], lambda _: True)
    rehearsal = Rehearsal(found, "", found.sensitive, (), None)  # type: ignore[arg-type]
    with pytest.raises(TransactionDiffers, match=r"/etc/cron\.d/evil"):
        rehearsal.refuse(["cron"])


@pytest.mark.parametrize("told", [{"path": "/usr/\udcff"}, {"path": "/usr/x", "to": "\udc80"}])
def test_a_name_that_is_no_text_is_refused(told: dict[str, str]) -> None:
    """A package can ship it; no agent ends of it."""
    with pytest.raises(TransactionDiffers, match="not UTF-8"):
        digest([{"by": "tool", "is": "link", **told}])
