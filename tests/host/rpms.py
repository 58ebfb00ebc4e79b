"""Small .rpms of our own, built by rpmbuild, for the tests of the rpm driver and its hosts."""

import hashlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from answerable.host.driver import Package

_SPEC = """\
%global __os_install_post %{{nil}}
%define _build_id_links none
Name: {name}
Version: {version}
Release: {release}
Summary: made by a test
License: none
AutoReqProv: no
{lines}
%description
Made by a test.
%install
cp -a {source}/. %{{buildroot}}/
{scripts}
%files
%defattr(-,root,root)
{files}
"""
_TIME = 1_700_000_000
_ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent", "LC_ALL": "C"}


@dataclass(frozen=True)
class File:
    """One file of a package: its bytes, or where it links to; `mark` as %files has it."""

    data: bytes = b""
    mode: int = 0o644
    mark: str = ""
    link: str = ""
    folder: bool = False
    twin: str = ""


def build(
    folder: Path,
    name: str,
    version: str,
    files: Mapping[str, File] | None = None,
    *,
    before: str = "",
    lines: Sequence[str] = (),
    scripts: Mapping[str, str] | None = None,
    arch: str = "noarch",
    release: str = "1",
    macros: Sequence[str] = (),
) -> tuple[Package, Path]:
    """Build a package with these further lines and scripts (`%post` -> text); give its file.

    Args:
        before: the whole version that it replaces, `1-1`.
    """
    place = folder / f"{name}-{version}-{release}"
    source = place / "source"
    source.mkdir(parents=True)
    for path, file in (files or {}).items():
        _lay(source, path, file)
        if not file.link:
            # Each version has a time of its own, whenever it is built.
            os.utime(source / path.lstrip("/"), (_TIME + int(version[0]),) * 2)
    made = [*lines, *(["BuildArch: noarch"] if arch == "noarch" else [])]
    text = _SPEC.format(
        name=name, version=version, release=release, source=source,
        lines="\n".join(made), files="\n".join(_lines(files or {})),
        scripts="\n".join(f"{key}\n{script}" for key, script in (scripts or {}).items()),
    )  # fmt: skip
    (place / "it.spec").write_text(text)
    defined = (f"_topdir {place}/top", f"_rpmdir {place}", *macros)
    words = [word for macro in defined for word in ("--define", macro)]
    argv = ["rpmbuild", "-bb", "--quiet", f"--target={arch}", *words, str(place / "it.spec")]
    subprocess.run(argv, check=True, capture_output=True, env=_ENV)
    built = next(place.glob(f"{arch}/*.rpm"))
    epoch = next((line.split()[1] + ":" for line in lines if line.startswith("Epoch:")), "")
    sha256 = hashlib.sha256(built.read_bytes()).hexdigest()
    return Package(name, before, f"{epoch}{version}-{release}", sha256), built


def _lay(source: Path, path: str, file: File) -> None:
    place = source / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    if file.folder:
        place.mkdir(exist_ok=True)
    elif file.link:
        place.symlink_to(file.link)
    elif file.twin:
        place.hardlink_to(source / file.twin.lstrip("/"))
    else:
        place.write_bytes(file.data)


def _lines(files: Mapping[str, File]) -> list[str]:
    rows = []
    for path, file in files.items():
        mode = "" if file.link else f"%attr({file.mode:04o},root,root) "
        rows.append(f"{mode}{file.mark} {'%dir ' if file.folder else ''}{path}")
    return rows


def install(root: Path, *files: Path) -> None:
    """Write packages into the database below `root`, as if they were installed there."""
    folder = root / "var/lib/rpm"
    folder.mkdir(parents=True, exist_ok=True)
    argv = ["rpm", f"--dbpath={folder}", "--upgrade", "--justdb", "--noscripts", "--notriggers"]
    subprocess.run([*argv, "--nodeps", *map(str, files)], check=True, capture_output=True, env=_ENV)
