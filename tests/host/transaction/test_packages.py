"""The setting of a host is exact, and what an order names is what is committed, or nothing is."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from answerable.host.driver import Foreseen, Package, Staged, TransactionDiffers
from answerable.host.files import HomeUnavailable
from answerable.host.settings import make_driver, read_settings
from answerable.host.transaction.debian.dpkg import Dpkg
from answerable.host.transaction.explain import Explained
from answerable.host.transaction.packages import Packages
from answerable.host.transaction.rehearsal import Rehearsal
from answerable.host.versions import ABSENT


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


class Told:
    """A host whose transactions are told beforehand: what they would do, and what they did."""

    def __init__(self, effects: str, sensitive: Mapping[str, Sequence[str]]) -> None:
        self.seen = Rehearsal(Explained(), effects, sensitive, (), cast("Any", None))
        self.done: list[str] = []
        self.came = ["/usr/bin/new"]
        self.copies = 0

    @contextmanager
    def rehearse(self, *_: object) -> Iterator[Rehearsal]:
        """Find what is told; the copy lives until it is thrown away."""
        self.copies += 1
        yield self.seen
        self.copies -= 1

    def commit(self, *_: object) -> str:
        """Count it."""
        self.done.append("commit")
        return "000001"

    def note(self, _: str) -> dict[str, Any]:
        """Give what was told."""
        return {"digest": self.seen.digest, "sensitive": list(self.seen.sensitive)}

    def drift(self, _: str) -> list[str]:
        """Nothing changed since."""
        return []

    def made(self, _: str) -> list[str]:
        """Give what came with it."""
        return self.came

    def undo(self, number: str) -> dict[str, Any]:
        """Count it."""
        self.done.append("undo")
        return self.note(number)


class Unlocked(Dpkg):
    """The family, without the locks of this machine."""

    def locked(self) -> Any:  # noqa: ANN401  a context manager
        """Lock nothing."""
        return nullcontext()


def packages(folder: Path, told: Told, *allow: str) -> Packages:
    """Transactions of a host that is told."""
    made = Packages(folder, {"allow": list(allow)}, (), Unlocked())
    made.__dict__["_transaction"] = told
    return made


HASH = "5c" * 32
ONE = Staged((Package("a", "1", "2", HASH),), ())


def naming(effects: str, *classes: str) -> Staged:
    """The same, as an order names what it does."""
    return Staged(ONE.packages, (), Foreseen(effects, dict.fromkeys(classes, ())))


def test_what_the_order_names_is_committed(tmp_path: Path) -> None:
    """The classes that it names need no leave of the host's own."""
    told = Told(HASH, {"unit": ("/u",), "setuid": ("/s",)})
    said = packages(tmp_path, told).upgrade(naming(HASH, "setuid", "unit"), (), {})
    assert (said, told.done) == (f"effects {HASH}, transaction 000001", ["commit"])
    with pytest.raises(TransactionDiffers, match="`setuid`, `unit` are not allowed"):
        packages(tmp_path, told).upgrade(ONE, (), {})
    packages(tmp_path, told, "unit", "setuid").upgrade(ONE, (), {})
    assert told.done == ["commit", "commit"]


@pytest.mark.parametrize(
    "named", [naming("ab" * 32, "unit"), naming(HASH), naming(HASH, "setuid", "unit")]
)
def test_anything_else_than_the_order_names_is_never_committed(
    tmp_path: Path, named: Staged
) -> None:
    """Compared once more right before the commit, whatever the kernel was told before."""
    told = Told(HASH, {"unit": ("/u",)})
    with pytest.raises(TransactionDiffers):
        packages(tmp_path, told, "unit").upgrade(named, (), {})
    with pytest.raises(TransactionDiffers, match="plan the change anew"):
        packages(tmp_path, told).undo("000001", named.named)
    assert told.done == []
    assert "undone" in packages(tmp_path, told).undo("000001", naming(HASH, "unit").named)


def test_a_rehearsal_that_is_refused_is_not_kept(tmp_path: Path) -> None:
    """Once the host has been put in order, it is asked again, and does what the order names."""
    told = Told("ab" * 32, {})
    host = packages(tmp_path, told)
    assert host.preview(naming(HASH), (), {}).digest == "ab" * 32
    assert told.copies == 0
    told.seen = Told(HASH, {}).seen
    assert host.preview(naming(HASH), (), {}).digest == HASH
    assert told.copies == 1
    host.upgrade(naming(HASH), (), {})
    assert (told.copies, told.done) == (0, ["commit"])


def test_a_package_that_comes_new_is_of_a_class_of_its_own(tmp_path: Path) -> None:
    """Whatever it ships: no order hides it, and no host takes it that was not told of it."""
    new = Staged((*ONE.packages, Package("b", ABSENT, "1", HASH)), ())
    told = Told(HASH, {"unit": ("/u",)})
    with pytest.raises(TransactionDiffers, match="`install` are not allowed"):
        packages(tmp_path, told, "unit").upgrade(new, (), {})
    with pytest.raises(TransactionDiffers, match="`install` are not allowed"):
        packages(tmp_path, told).upgrade(replace(new, named=naming(HASH, "unit").named), (), {})
    assert told.done == []
    named = replace(new, named=naming(HASH, "install", "unit").named)
    assert packages(tmp_path, told).preview(named, (), {}).sensitive["install"] == ["b"]
    packages(tmp_path, told).upgrade(named, (), {})
    assert told.done == ["commit"]


def test_no_undo_takes_away_the_kernel_that_runs(tmp_path: Path) -> None:
    """Its image, its initial disk or one of its modules: people boot another one first."""
    release, told = os.uname().release, Told(HASH, {})
    for path in (
        f"/boot/vmlinuz-{release}", f"/boot/initrd.img-{release}", f"/lib/modules/{release}",
        f"/usr/lib/modules/{release}/kernel/fs/x.ko",
    ):  # fmt: skip
        told.came = ["/usr/bin/new", path]
        for do in ("preview_undo", "undo"):
            with pytest.raises(TransactionDiffers, match="boot the one before") as caught:
                getattr(packages(tmp_path, told), do)("000001")
            assert caught.value.also == (path,)
    assert told.done == []
    told.came = [f"/boot/vmlinuz-{release}.1", f"/lib/modules/{release}1/x", "/lib/modules"]
    assert "undone" in packages(tmp_path, told).undo("000001")
