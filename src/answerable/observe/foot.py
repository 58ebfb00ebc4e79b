r"""The observer's foot on a host: a program that only looks, run by a forced SSH command.

    command="/usr/bin/answerable-look",restrict ssh-ed25519 AAAA.. observer

in `authorized_keys` (sshd(8)) of a user of its own. What may be asked for is one of `ASKED`, which
sshd hands over as `SSH_ORIGINAL_COMMAND`; anything else ends with 2 and nothing is done. The answer
is one line of canonical JSON:

    versions            {"installed":{"libssl3":"3.0.22-1~deb12u2"},"stale":["nginx: /usr/lib/.."]}
    posture             {"sections":{"setuid":{..},..,"listening":{..}},"unread":[..]}
    files libssl3 ..    {"libssl3":{"usr/lib/x/libssl.so.3":"<sha256>",..},..}
    images              {"podman:docker.io/library/nginx:1.27":["<digest>",..],..}

It writes nothing, starts nothing, opens no socket and takes no path, pattern or option from who
asks, only names of packages (files.py). Standard library and `observe/` only, nothing of the agent
that acts. What its user may not read is in `unread`.
"""

import os
import sys
from pathlib import Path

from answerable.kernel.canon import encode
from answerable.observe.containers import held
from answerable.observe.files import NAME, NAMES, debian
from answerable.observe.look import Unseen, dpkg
from answerable.observe.posture import Posture, posture
from answerable.observe.rpmdb import present, redhat, rpm
from answerable.observe.runtime import running, stale

ASKED = ("versions", "posture", "images", "files")
DISKS = frozenset(
    {"ext2", "ext3", "ext4", "xfs", "btrfs", "overlay", "zfs", "f2fs", "jfs", "tmpfs"}
)
"""File systems (mountinfo's names) on which a host's own files lie."""
_MOUNT, _TYPE = 4, 0


class NotAsked(Unseen):
    """Something was asked for that is none of `ASKED`."""


def devices(mounts: str, root: Path) -> frozenset[int]:
    """Give the device numbers of a host's own file systems, from the text of its mountinfo.

    Source: proc_pid_mountinfo(5).
    """
    found = set()
    for row in mounts.splitlines():
        before, _, after = row.partition(" - ")
        words, kind = before.split(" "), after.split(" ")[_TYPE]
        if len(words) > _MOUNT and kind in DISKS:
            try:
                found.add(os.lstat(root / words[_MOUNT].lstrip("/")).st_dev)
            except OSError:
                continue
    return frozenset(found)


def answer(asked: str, root: Path) -> str:
    """Give what is asked for, as one line.

    Raises:
        NotAsked: if it is none of `ASKED`.
        Unseen: if it cannot be looked at.
    """
    proc = root / "proc"
    if asked == "versions":
        return encode({"installed": (rpm if _redhat(root) else dpkg)(root), "stale": stale(proc)})
    if asked == "posture":
        mounts = (proc / "self/mountinfo").read_text(encoding="utf-8", errors="replace")
        disk, runs = posture(root, devices(mounts, root)), running(proc, root / "sys")
        whole = Posture(disk.sections | runs.sections, sorted([*disk.unread, *runs.unread]))
        return encode({"sections": whole.sections, "unread": whole.unread})
    if asked == "images":
        return encode(held(root))
    word, *names = asked.split(" ")
    if word == "files" and 0 < len(names) <= NAMES and all(map(NAME.fullmatch, names)):
        return encode((redhat if _redhat(root) else debian)(root, names))
    raise NotAsked(f"asked for `{asked[:40]!a}`: only {', '.join(ASKED)} can be asked for")


def _redhat(root: Path) -> bool:
    """Tell the family: each may have the other's tool, with nothing installed by it."""
    if not present(root):
        return False
    try:
        return not dpkg(root)
    except Unseen:
        return True


def main() -> None:
    """Answer what sshd was asked for; exit code 2 for anything else, 1 if it cannot be seen."""
    asked = os.environ.get("SSH_ORIGINAL_COMMAND", "")
    try:
        text = answer(asked, Path("/"))
    except (Unseen, OSError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2 if isinstance(error, NotAsked) else 1)
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
