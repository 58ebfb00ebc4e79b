"""What is pending is computed from the published metadata, and dates are kept as published."""

from answerable.demo.mirror import Artefact, pending, read_index, valid_until

INDEX = b"""\
Package: curl
Source: curl-src (1.2)
Version: 2:1.0
Architecture: amd64
Depends: libc6
Filename: pool/c/curl.deb
Size: 7
SHA256: %s

Package: curl
Version: 2:1.0
Architecture: i386
Filename: pool/c/other.deb
Size: 7
SHA256: %s

Package: unrelated
Version: 1
Architecture: amd64
Filename: pool/u.deb
Size: 7
SHA256: %s
""" % ((b"a" * 64,) * 3)
INSTALLED = {"curl": ("2:1.0", "amd64"), "jq": ("1.6-2", "amd64")}


def _deb(suite: str, package: str, version: str) -> Artefact:
    return Artefact(suite, package, version, "amd64", package, f"{package}-{version}", "a" * 64, 1)


def test_index_is_read_for_installed_packages_only() -> None:
    """Other packages and other architectures of the same package are left out."""
    (found,) = read_index(INDEX, "main", INSTALLED)
    assert found == Artefact(
        "main", "curl", "2:1.0", "amd64", "curl-src", "pool/c/curl.deb", "a" * 64, 7
    )


def test_newest_security_version_above_the_installed_one_is_pending() -> None:
    """Versions are compared as dpkg does; older and equal ones are no update."""
    main = [_deb("main", "curl", "2:1.0"), _deb("main", "jq", "1.6-2")]
    security = [
        _deb("security", "curl", v) for v in ("9.9", "2:1.0~rc1", "2:1.0+deb12u9", "2:1.0+deb12u10")
    ] + [_deb("security", "jq", "1.6-1")]
    (update,) = pending(main, security, INSTALLED)
    assert (update.new.version, update.old) == ("2:1.0+deb12u10", main[0])


def test_update_without_a_way_back_is_not_offered() -> None:
    """Where the installed version's file is gone from the archive, there is no undo, so no plan."""
    assert pending([], [_deb("security", "curl", "2:2.0")], INSTALLED) == []


def test_dates_are_kept() -> None:
    """A suite's own Valid-Until decides; one that has none does not expire by it."""
    text = "Suite: x\nValid-Until: Fri, 27 Nov 2026 00:12:41 UTC\n"
    assert valid_until(text) == 1795738361
    assert valid_until("Suite: x\n") > 1 << 60
