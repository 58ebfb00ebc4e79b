"""Landlock's rules for each version that a kernel may have; the real ones are tried live."""

import os
from pathlib import Path
from struct import unpack

import pytest

from answerable.host.confine import landlock
from answerable.host.confine.landlock import NoLandlock, abi, restrict


class Kernel:
    """Takes the place of syscall(2) and prctl(2)."""

    def __init__(self, version: int) -> None:
        self.version, self.calls = version, list[tuple[object, ...]]()

    def syscall(self, *words: object) -> int:
        """Tell the version, or keep the call."""
        number, *rest = (getattr(word, "value", word) for word in words)
        if rest[-1] == 1 and number == 444:
            return self.version or -1
        self.calls.append((number, *rest))
        return os.open("/dev/null", os.O_RDONLY) if number == 444 else 0

    def prctl(self, *words: object) -> int:
        """Keep the call."""
        self.calls.append(("prctl", *words))
        return 0


@pytest.mark.parametrize(
    ("version", "rights", "words"),
    [(1, 13, 1), (2, 14, 1), (3, 15, 1), (4, 15, 2), (5, 16, 2), (6, 16, 3), (9, 16, 3)],
)
def test_all_that_a_version_knows_is_given_up(
    version: int, rights: int, words: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every right that the version has is handled; ports only where it judges them."""
    kernel = Kernel(version)
    monkeypatch.setattr(landlock, "_libc", lambda: kernel)
    (tmp_path / "file").write_text("")
    paths = [tmp_path, tmp_path / "file", tmp_path / "absent"]
    assert restrict(paths, [443]) == version
    created, *rules, sealed, restricted = kernel.calls
    given = unpack(f"={words}Q", bytes(created[1]))  # type: ignore[call-overload]
    assert given == ((1 << rights) - 1, 3, 3)[:words]
    kinds = [rule[2] for rule in rules]
    assert kinds == [1, 1] + ([2] if version >= 4 else [])
    allowed = [unpack("=Qi", bytes(rule[3]))[0] for rule in rules[:2]]  # type: ignore[call-overload]
    assert allowed == [0b1100, 0b0100], "a folder is read and listed, a file is read"
    assert sealed == ("prctl", 38, 1, 0, 0, 0)
    assert restricted[0] == 446


def test_a_kernel_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said; nothing is given up half."""
    monkeypatch.setattr(landlock, "_libc", lambda: Kernel(0))
    assert abi() == 0
    with pytest.raises(NoLandlock):
        restrict([], [])
