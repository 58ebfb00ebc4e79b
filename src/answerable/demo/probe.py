"""What this machine can do, found by doing it in throw-away namespaces, not by asking for a uid.

Each ability is tried in a child that leaves nothing behind: its mounts and devices live in
namespaces that end with it. `python -m answerable.demo.probe` prints one line an ability. Left out:
installing what is missing (scripts/bootstrap does that).
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import answerable

SECONDS = 20
"""An ability that does not answer within this time counts as absent."""

_OVERLAY = """
set -eu
mount -t tmpfs none /mnt
mkdir /mnt/lower /mnt/upper /mnt/work /mnt/root
echo below >/mnt/lower/file
mount -t overlay none -o lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
echo above >/mnt/root/file
grep -q below /mnt/lower/file
grep -q above /mnt/upper/file
"""
_STACKED = f"""
{_OVERLAY}
mkdir /mnt/over
mount -t tmpfs none /mnt/over
mkdir /mnt/over/upper /mnt/over/work /mnt/over/root
mount -t overlay none -o lowerdir=/mnt/root,upperdir=/mnt/over/upper,workdir=/mnt/over/work \
    /mnt/over/root
echo again >/mnt/over/root/file
grep -q above /mnt/root/file
"""
_NETWORK = """
set -eu
ip link set lo up
ip link add probe0 type veth peer name probe1
ip link set probe0 up
"""
_CGROUPS = """
set -eu
for folder in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
    [ -f "$folder/cgroup.procs" ] || continue
    place=$folder/answerable-probe-$$
    mkdir "$place"
    said=0
    sh -c 'echo 0 >"$0/cgroup.procs" && exec unshare --mount --cgroup sh -c "
        mount -t tmpfs none /mnt && mkdir /mnt/sys /mnt/cgroup && mount -t sysfs none /mnt/sys &&
        if [ ${0#/sys/fs/cgroup/systemd} = $0 ]; then mount -t cgroup2 none /mnt/cgroup
        else mount -t cgroup -o none,name=systemd none /mnt/cgroup; fi &&
        mkdir /mnt/cgroup/inner && rmdir /mnt/cgroup/inner"' "$place" || said=$?
    rmdir "$place"
    [ "$said" = 0 ]
    found=yes
done
[ "${found:-}" ] || { echo 'no cgroups that systemd could use' >&2; exit 1; }
"""
_BTRFS = """
set -eu
mount -t tmpfs none /mnt
truncate -s 128M /mnt/disk
mkfs.btrfs --quiet /mnt/disk
mkdir /mnt/top
mount -o loop /mnt/disk /mnt/top
btrfs subvolume create /mnt/top/one
btrfs subvolume snapshot -r /mnt/top/one /mnt/top/two
umount /mnt/top
"""
_SAME_PYTHON = f"""
import sys
sys.exit(0 if sys.version_info[:2] == {sys.version_info[:2]} else sys.version.split()[0])
"""
_UNIT = Path(answerable.__file__).parent / "host/units/answerable-agentd.service"
_LANDLOCK = """
import sys
from answerable.host.confine import landlock
sys.exit(f"ABI {landlock.abi()}" if landlock.abi() < landlock.NETWORK else 0)
"""

TRIALS = {
    "mount": ("unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"),
    "overlay": ("unshare", "--mount", "sh", "-c", _OVERLAY),
    "stacked": ("unshare", "--mount", "sh", "-c", _STACKED),
    "btrfs": ("unshare", "--mount", "sh", "-c", _BTRFS),
    "network": ("unshare", "--net", "sh", "-c", _NETWORK),
    "cgroups": ("sh", "-c", _CGROUPS),
    "uids": ("setpriv", "--reuid=64000", "--regid=64000", "--clear-groups", "true"),
    "mmdebstrap": ("mmdebstrap", "--version"),
    "apt": ("apt-get", "--version"),
    "rpmbuild": ("rpmbuild", "--version"),
    "host-python": ("/usr/bin/python3", "-c", _SAME_PYTHON),
    "landlock": (sys.executable, "-c", _LANDLOCK),
    "runsc": ("runsc", "--network=none", "--platform=ptrace", "do", "true"),
    "systemd-analyze": ("systemd-analyze", "security", "--offline=true", str(_UNIT)),
    "ssh-keygen": ("ssh-keygen", "-Y", "find-principals", "-s", "/dev/null", "-f", "/dev/null"),
}
"""Every ability by name, and the command whose success proves it."""

BOOTED_HOSTS = ("mount", "overlay", "network", "cgroups", "uids", "mmdebstrap", "apt")
"""What a fleet whose hosts boot systemd needs, all of it."""
REAL_HOSTS = ("mount", "overlay", "network", "uids", "mmdebstrap", "apt")
"""What a fleet of real hosts of the machine's own distribution needs, all of it."""

_NO_SIGNATURE = 255
"""ssh-keygen's code for an empty signature: it is there and knows `-Y`."""


@dataclass(frozen=True)
class Ability:
    """One thing that the machine can or cannot do, and why not."""

    name: str
    works: bool
    why: str


def probe(name: str) -> Ability:
    """Try one ability of `TRIALS`."""
    command = TRIALS[name]
    if shutil.which(command[0]) is None:
        return Ability(name, works=False, why=f"`{command[0]}` is not installed")
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Ability(name, works=False, why=str(error))
    good = done.returncode == 0 or (name == "ssh-keygen" and done.returncode == _NO_SIGNATURE)
    lines = done.stderr.strip().splitlines()
    why = lines[-1] if lines else f"exit {done.returncode}"
    return Ability(name, works=good, why="" if good else why)


def main() -> None:
    """Print one line for each ability."""
    for name in TRIALS:
        ability = probe(name)
        print(f"{name:12} {'yes' if ability.works else 'no: ' + ability.why}")


if __name__ == "__main__":
    main()
