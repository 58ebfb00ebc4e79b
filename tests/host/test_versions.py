"""Version keys order as the package tools do: dpkg itself, and PyPA's `packaging`.

rpm's own comparison, real versions and damaged ones: tests/exposure/test_keys.py.
"""

import random
import shutil
import subprocess
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import InvalidVersion, Version

from answerable.host.versions import ABSENT, LENGTH, key, number, order
from answerable.kernel.errors import Refused

DEBIAN, PYPI = "debian:12", "pypi"
SEED, PAIRS = 20_261_122, 400
KNOWN = [
    "0", "0~", "0~~", "0~a", "0a", "0.", "0.0", "0-0", "0-1", "00", "1", "1.0", "1.0-1", "1.0-1~",
    "1.0-1~deb12u1", "1.0-1+b1", "1.0-1+deb12u1", "1.0-1.1", "1.0~rc1-1", "1.0+dfsg-1", "1.0a-1",
    "1.0Z-1", "1:0.9-1", "2:0", "1.0-1-1", "3.0.11-1~deb12u1", "3.0.17-1~deb12u2", "9", "10",
    "1.09", "1.9",
    "1.2.3a4", "1.2.3+4", "20230311.gitabc", "5.4.1-0.2", "5.4.1-0", "1--1", "1:2:3", "0:1",
]  # fmt: skip


def tool(old: str, operator: str, new: str) -> bool:
    """Ask dpkg; it warns of versions that it compares all the same."""
    command = ["dpkg", "--compare-versions", old, operator, new]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def some_version(random_: random.Random) -> str:
    """Make up a Debian version out of what is found in real ones."""
    parts = ["0", "1", "9", "10", "2023", ".", "~", "+", "a", "rc", "deb12u", "dfsg", "-", "Z"]
    return "0" + "".join(random_.choice(parts) for _ in range(random_.randrange(6)))


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is absent")
def test_debian_versions_order_as_dpkg_does() -> None:
    """Known corners against each other, and made-up ones: no pair differs."""
    chance = random.Random(SEED)
    pool = KNOWN + [some_version(chance) for _ in range(60)]
    for _ in range(PAIRS):
        old, new = chance.choice(pool), chance.choice(pool)
        with suppress(Refused):
            ours = (key(DEBIAN, old) > key(DEBIAN, new)) - (key(DEBIAN, old) < key(DEBIAN, new))
            operator = {-1: "lt", 0: "eq", 1: "gt"}[ours]
            assert tool(old, operator, new), f"seed {SEED}: `{old}` {operator} `{new}`"


NUMBER = st.integers(0, 30).map(str)
PEP = st.tuples(
    st.sampled_from(["", "1!", "v"]),
    st.lists(NUMBER, min_size=1, max_size=4).map(".".join),
    st.sampled_from(["", "a1", "b2", "rc1", ".alpha.3", "-beta", "c0", "pre1", "_preview2"]),
    st.sampled_from(["", ".post1", "-1", "post", "-r2", ".rev3"]),
    st.sampled_from(["", ".dev0", ".dev3", "dev", "-dev2"]),
    st.sampled_from(["", "+local.1", "+abc", "+1.2-3", "+ABC_9"]),
).map("".join)


@given(PEP, PEP)
def test_python_versions_order_as_packaging_does(old: str, new: str) -> None:
    """Every pair of valid versions orders as PEP 440 says."""
    with suppress(InvalidVersion):
        theirs = (Version(old) > Version(new)) - (Version(old) < Version(new))
        ours = (key(PYPI, old) > key(PYPI, new)) - (key(PYPI, old) < key(PYPI, new))
        assert ours == theirs


def test_the_examples_of_the_page() -> None:
    """The form down to the byte, as the module's text has it."""
    assert key(DEBIAN, "1.0~rc1").hex() == "0002016e0200012e1f020102020002"
    assert key("almalinux:9", "1:2^a-3").hex() == "0105020304610002050302"
    assert key(PYPI, "1!2.0rc3.post4+x.5").hex() == "010202010303010401017800020500"
    large = 240, 1 << 16, 1 << 200
    assert [number(str(n)).hex()[:6] for n in large] == ["f1f0", "f30100", "ff001a"]
    assert sorted(number(str(n)) for n in range(700)) == [number(str(n)) for n in range(700)]


def test_rpm_marks_order_as_its_page_says() -> None:
    """A tilde before the end, a caret after it, letters before numbers (rpm-version(7))."""
    texts = ["1.0~rc1-1", "1.0-1", "1.0^git1-1", "1.0a-1", "1.0.1-1", "1.0.1-2", "1.1", "1:0-1"]
    keys = [key("almalinux:9", text) for text in texts]
    assert keys == sorted(keys)
    assert key("rocky:8", "1.05_2-1") == key("rocky:8", "1.5.2-01")


@pytest.mark.parametrize(
    ("ecosystem", "version"),
    [
        (DEBIAN, ""), (DEBIAN, "a1"), (DEBIAN, "1 2"), (DEBIAN, "1:"),
        (DEBIAN, "1.0-"), (DEBIAN, "-1"), (DEBIAN, "1:1.0-2:3"), (DEBIAN, "1.0-2_3"),
        (DEBIAN, "1\n"), (DEBIAN, "\uff11"), (DEBIAN, "1" * (LENGTH + 1)),
        (PYPI, ""), (PYPI, "one"), (PYPI, "1..2"), (PYPI, "1.0-"), (PYPI, "--version"),
        ("rpm", "1"), ("", "1"), ("debian", "1"), ("almalinux:9", "1-2-3"), ("redhat:9", "1 2"),
    ],
)  # fmt: skip
def test_what_is_no_version(ecosystem: str, version: str) -> None:
    """An unknown scheme or spelling is refused, never guessed."""
    with pytest.raises(Refused, match="malformed"):
        key(ecosystem, version)


@pytest.mark.fuzz
@given(st.sampled_from([DEBIAN, PYPI, "x"]), st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_refused_or_ordered(ecosystem: str, old: str, new: str) -> None:
    """Keys of one scheme compare with each other, whatever they came from."""
    with suppress(Refused):
        assert (key(ecosystem, old) < key(ecosystem, new)) in (True, False)


@pytest.mark.parametrize("ecosystem", [DEBIAN, PYPI, "rocky:9"])
def test_what_is_not_there_is_below_every_version_and_is_none(ecosystem: str) -> None:
    """No artefact, advisory or inventory can pass it off as a version."""
    assert order(ecosystem, ABSENT) < order(ecosystem, "0") == key(ecosystem, "0")
    with pytest.raises(Refused):
        key(ecosystem, ABSENT)
