"""A host's posture is read from a disk that may belong to an attacker."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.observe.drift import drift, sentence, weaker
from answerable.observe.look import Unseen
from answerable.observe.posture import SECTIONS, Posture, posture

PASSWD = "root:x:0:0:root:/root:/bin/bash\nweb:x:33:33::/srv:/bin/false\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a small host: accounts, a setuid program, a unit, a key, a source, a hook for cron."""
    for path, text in {
        "etc/passwd": PASSWD,
        "etc/group": "root:x:0:\nsudo:x:27:web\n",
        "etc/shadow": "root:$y$secret:1:2:3:::\n",
        "etc/sudoers": "root ALL=(ALL) ALL\n",
        "etc/apt/sources.list": "deb http://mirror.example stable main\n",
        "etc/cron.d/clean": "@daily root true\n",
        "etc/apparmor.d/web": "profile web {}\n",
        "usr/lib/systemd/system/web.service": "[Service]\n",
        "root/.ssh/authorized_keys": "# mine\nssh-ed25519 AAAA dana\n",
        "usr/bin/su": "elf",
        "usr/share/doc/web": "words",
    }.items():
        file = tmp_path / "host" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "host/usr/bin/su").chmod(0o4755)
    return tmp_path / "host"


def put(root: Path, path: str, text: str = "x\n", mode: int = 0o644) -> None:
    """Write a file of the host."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)


def link(root: Path, path: str) -> None:
    """Let a name lead elsewhere."""
    (root / path).symlink_to("/x")


def test_each_section_has_its_entries(root: Path) -> None:
    """What may give power is there, with owner, mode and hash; words in a manual are not."""
    seen = posture(root)
    assert {name: len(rows) for name, rows in seen.sections.items() if rows} == {
        "accounts": 4, "setuid": 1, "authorized_keys": 1, "sudo": 1, "units": 1, "cron": 1,
        "sources": 1, "lsm": 1,
    }  # fmt: skip
    assert seen.sections["accounts"]["etc/passwd web"] == "33:33:/srv:/bin/false"
    assert seen.sections["setuid"]["usr/bin/su"].endswith(" 4755")
    assert seen.unread == []


def test_no_secret_is_read(root: Path) -> None:
    """Neither a password's hash nor the words of a watched file stand in a posture."""
    assert "secret" not in str(posture(root))
    assert "mirror.example" not in str(posture(root))


def test_same_disk_same_posture(root: Path) -> None:
    """Two looks at an unchanged disk differ in nothing."""
    assert posture(root) == posture(root)


HOSTILE: dict[str, tuple[str, Callable[[Path], None]]] = {
    "setuid shell": ("setuid", lambda r: put(r, "usr/share/doc/sh", mode=0o4755)),
    "setgid program": ("setuid", lambda r: put(r, "opt/x", mode=0o2755)),
    "second root": ("accounts", lambda r: put(r, "etc/passwd", PASSWD + "t:x:0:0::/:\n")),
    "key for root": ("authorized_keys", lambda r: put(r, "root/.ssh/authorized_keys2", "ssh-x A")),
    "job": ("cron", lambda r: put(r, "etc/cron.d/own")),
    "unit": ("units", lambda r: put(r, "etc/systemd/system/own.service")),
    "packaged unit": ("units", lambda r: put(r, "usr/lib/systemd/system/own.service")),
    "unit by link": ("units", lambda r: link(r, "usr/lib/systemd/system/own.service")),
    "sudo rule": ("sudo", lambda r: put(r, "etc/sudoers.d/own")),
    "changed sudo": ("sudo", lambda r: put(r, "etc/sudoers", "ALL ALL=(ALL) NOPASSWD: ALL\n")),
    "preload": ("loader", lambda r: put(r, "etc/ld.so.preload", "/opt/x.so\n")),
    "source": ("sources", lambda r: put(r, "etc/apt/sources.list.d/own.list")),
    "trusted key": ("sources", lambda r: put(r, "etc/apt/trusted.gpg.d/own.gpg")),
    "module": ("modules", lambda r: put(r, "etc/modprobe.d/own.conf")),
    "daemon settings": ("ssh", lambda r: put(r, "etc/ssh/sshd_config", "PermitRootLogin yes\n")),
    "confinement gone": ("lsm", lambda r: (r / "etc/apparmor.d/web").unlink()),
    "unit's owner's bits": ("units", lambda r: (
        r / "usr/lib/systemd/system/web.service").chmod(0o666)),
}  # fmt: skip


@pytest.mark.parametrize("act", HOSTILE)
def test_weakening_is_named(root: Path, act: str) -> None:
    """Each hostile act is named by its section, unless that section was announced."""
    before = posture(root)
    section, do = HOSTILE[act]
    do(root)
    after = posture(root)
    assert [words.split(":")[0] for words in weaker(before, after, ())] == [section]
    assert weaker(before, after, {section}) == []


HARMLESS: dict[str, Callable[[Path], None]] = {
    "upgraded unit": lambda r: put(r, "usr/lib/systemd/system/web.service", "[Service]\nUser=x\n"),
    "removed setuid": lambda r: (r / "usr/bin/su").unlink(),
    "removed source": lambda r: (r / "etc/apt/sources.list").unlink(),
    "new manual": lambda r: put(r, "usr/share/doc/more"),
    "new bytes of su": lambda r: put(r, "usr/bin/su", "elf 2", mode=0o4755),
}


@pytest.mark.parametrize("act", HARMLESS)
def test_ordinary_upgrade_is_not_weaker(root: Path, act: str) -> None:
    """What an upgrade brings anew, and what goes, blocks nothing."""
    before = posture(root)
    HARMLESS[act](root)
    assert weaker(before, posture(root), ()) == []


def test_link_leads_nowhere(root: Path, tmp_path: Path) -> None:
    """Links to our own files, as a file and as a folder, are entries and are not followed."""
    put(tmp_path, "ours/cron", "ours\n")
    (root / "etc/crontab").symlink_to(tmp_path / "ours/cron")
    (root / "etc/cron.hourly").symlink_to(tmp_path / "ours")
    (root / "etc/sudoers.d").symlink_to("/")
    seen = posture(root)
    assert seen.sections["cron"]["etc/crontab"] == f"-> {tmp_path}/ours/cron"
    assert not [path for path in seen.sections["cron"] if path.startswith("etc/cron.hourly/")]
    assert not [path for path in seen.sections["sudo"] if path.startswith("etc/sudoers.d/")]


def test_pipe_does_not_hold_us(root: Path) -> None:
    """A pipe or socket in a watched place is an entry, and nobody waits for it."""
    os.mkfifo(root / "etc/crontab")
    assert posture(root).sections["cron"]["etc/crontab"].endswith("no plain file")


def test_unreadable_is_no_silence() -> None:
    """What could be read before and cannot be now is weaker."""
    before, after = Posture(), Posture(unread=["etc/sudoers"])
    assert weaker(before, after, ()) == ["unread: `etc/sudoers` could be read before"]
    assert weaker(after, before, ()) == []


def test_endless_folders_are_unseen(root: Path) -> None:
    """A disk nested past all measure is refused, not a crash."""
    deep = os.open(root, os.O_RDONLY)
    for _ in range(3_000):
        os.mkdir("d", dir_fd=deep)
        deeper = os.open("d", os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = deeper
    os.close(deep)
    try:
        with pytest.raises(Unseen, match="nested deeper"):
            posture(root)
    finally:
        # Python's own way to remove a tree recurses too.
        subprocess.run([shutil.which("rm") or "rm", "-rf", str(root / "d")], check=True)


def test_no_disk_is_unseen(tmp_path: Path) -> None:
    """A host without a disk is not a host without anything to fear."""
    with pytest.raises(Unseen):
        posture(tmp_path / "nothing")


@given(st.lists(st.binary(min_size=1, max_size=8).filter(lambda b: not {0, 47} & {*b}), max_size=6))
def test_no_name_hides_behind_another(tmp_path_factory: pytest.TempPathFactory,
                                      names: list[bytes]) -> None:  # fmt: skip
    """However files are named, each setuid file is an entry of its own that can be written down."""
    root = tmp_path_factory.mktemp("host")
    made = {name for name in names if name not in (b".", b"..")}
    for name in made:
        file = root / os.fsdecode(name)
        file.touch()
        file.chmod(0o4755)
    found = posture(root).sections["setuid"]
    assert len(found) == len(made)
    assert all(path.isprintable() for path in found)
    "".join(found).encode()


def test_sentence_is_bounded() -> None:
    """However much is weaker, what is said fits a record and counts the rest."""
    many = Posture()
    many.sections["setuid"] = {f"{n}" * 300: "0:0 4755" for n in range(20)}
    words = sentence(weaker(Posture(), many, ()))
    assert len(words) <= 1_000
    short = sentence([f"setuid: `{n}` came" for n in range(20)])
    assert short.endswith("and 12 more")


@pytest.mark.parametrize("section", SECTIONS)
def test_difference_is_seen_in_every_section(section: str) -> None:
    """No section is compared by name only."""
    one, two = Posture(), Posture()
    one.sections[section], two.sections[section] = {"a": "1", "b": "1"}, {"a": "2", "c": "1"}
    assert [(d.entry, d.before, d.after) for d in drift(one, two)] == [
        ("a", "1", "2"), ("b", "1", ""), ("c", "", "1"),
    ]  # fmt: skip
