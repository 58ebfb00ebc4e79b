"""Tables and documents of a CMDB."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.inventory.cmdb import read
from answerable.inventory.installed import EVERYWHERE, Gap, Unreadable
from tests.feeds.mangle import mangled
from tests.inventory.rows import plain

HEAD = "host,zones,owner,ecosystem,package,version,arch,source,source_version,comment\n"
CSV = (
    HEAD
    + "web1,web;eu,shop,debian:12,libssl3,3.0.15-1~deb12u1,amd64,openssl,,x\n"
    + "db1,,,,,,,,,\n"
    + "WEB1,web;eu,shop,npm,minimist,1.2.5,,,,\n"
    + 'web1,,,"ever green",x,,,,,\n'
).encode()
JSON = json.dumps([
    {"host": "web1", "zones": ["web", "eu"], "owner": "shop", "packages": [
        {"ecosystem": "debian:12", "package": "libssl3", "version": "3.0.15-1~deb12u1",
         "arch": "amd64", "source": "openssl"}, "pkg:npm/minimist@1.2.5",
        {"ecosystem": "ever green", "package": "x"}]},
    {"host": "db1"},
]).encode()  # fmt: skip


@pytest.mark.parametrize("data", [CSV, JSON, b"\xef\xbb\xbf" + CSV, CSV.replace(b"\n", b"\r\n")])
def test_both_forms_say_the_same(data: bytes) -> None:
    """Hosts with zones, owner and packages; lines of a host need not stand together."""
    db1, web1 = read(data)
    assert (web1.host, sorted(web1.zones), web1.owner) == ("web1", ["eu", "web"], "shop")
    assert web1.found
    assert plain(web1.found.packages) == {
        ("debian:12", "libssl3", "3.0.15-1~deb12u1", "amd64", "openssl", ""),
        ("npm", "minimist", "1.2.5", "", "minimist", ""),
    }
    assert [gap.name for gap in web1.found.gaps] == ["x"]
    assert db1 == ("db1", EVERYWHERE, "", None)


def test_a_host_without_packages_is_one_that_nobody_looked_at() -> None:
    """A CMDB's list of servers does not make any of them fine."""
    (host,) = read(b"host\nweb1\n")
    assert host.found is None


def test_columns_may_be_called_otherwise() -> None:
    """Tables are taken as they are exported, with other names and semicolons."""
    data = b"Installed on;Name;Display\nweb1;pkg:npm/a@1;x\n"
    (host,) = read(data, {"host": "installed on", "purl": "Name"})
    assert host.found
    assert [row.package for row in host.found.packages] == ["a"]
    with pytest.raises(Unreadable, match="say what it is called"):
        read(data)


def test_a_word_that_breaks_is_a_gap() -> None:
    """What cannot be a version is listed with its host."""
    (host,) = read((HEAD + "web1,,,npm,x,1 2,,,,\n").encode())
    assert host.found
    assert host.found.gaps == (Gap("x 1 2", "no sound name or version"),)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"host\n",
        b"\xff\xfe",
        b"host,package\nweb1\n",
        b"host\n../x\n",
        b'host\n"web1\n',
        b"host,zones\nweb1,a/b\n",
        b"[",
        b"{}",
        b"[1]",
        b'[{"host":1}]',
        b'[{"host":"a","packages":1}]',
        b'[{"host":"a","packages":[1]}]',
        b'[{"host":"a","zones":{"a":1}}]',
        b"[" * 100_000,
    ],
)
def test_what_is_no_table_is_unreadable(data: bytes) -> None:
    """A table that is cut short or names no host is never an empty fleet."""
    with pytest.raises(Unreadable):
        read(data)


@pytest.mark.fuzz
@given(st.binary(max_size=300) | mangled(CSV) | mangled(JSON))
def test_any_bytes_are_hosts_or_unreadable(data: bytes) -> None:
    """Untrusted bytes cause `Unreadable` and nothing else."""
    with contextlib.suppress(Unreadable):
        assert read(data)
