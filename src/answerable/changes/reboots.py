"""When a plan orders a reboot: one a host, behind all but its health checks, and never unasked.

Two have said so before: the settings of the host at the control plane, and people, who name
`reboot` among the `effects` of their authorization, or approve the plan itself.

| setting | a reboot is ordered with |
|---|---|
| `never`, or none | nothing |
| `needed` | an upgrade of a package that needs it; any upgrade of a host whose last report |
| | about it says `reboot_required` |
| `always` | any upgrade |

Packages that need one are those that set the distribution's own mark, /run/reboot-required (Debian
Policy 9.12): kernel images, by the hooks of update-notifier-common and unattended-upgrades in
/etc/kernel/postinst.d; `dbus`, by its own script; Ubuntu's `libc6`. In the RPM family those that
`dnf needs-restarting --reboothint` names (dnf-plugins-core, needs_restarting.py). Where one is
needed and not ordered, it is escalated with the reason, and the upgrade is planned all the same.

Left out: Debian's systemd, which executes itself anew (order its restart); microcode there, live
patches; a plan of reboots alone; a reboot after an undo, which an order has no form for.
"""

from collections.abc import Iterable

from answerable.host.versions import RPM
from answerable.kernel.canon import Json

WHEN = ("never", "needed", "always")
WORD = "reboot"
"""Among the `effects` of an authorization: plans under it may reboot hosts."""
_NAMES, _KERNELS, _MARKING = {"dbus", "libc6"}, "linux-image-", ("debian:", "ubuntu")
_HINTED = frozenset({
    "dbus", "dbus-broker", "dbus-daemon", "glibc", "kernel", "kernel-core", "kernel-rt",
    "linux-firmware", "microcode_ctl", "systemd",
})  # fmt: skip


def needs(package: Json) -> bool:
    """Tell whether a package (`ecosystem`, `name`) is in effect only after a reboot."""
    name: str = package["name"]
    if package["ecosystem"].partition(":")[0] in RPM:
        return name in _HINTED
    marks: bool = package["ecosystem"].startswith(_MARKING)
    return marks and (name in _NAMES or name.startswith(_KERNELS))


def ordered(when: str, packages: Iterable[Json], *, waits: bool, allowed: bool) -> tuple[bool, str]:
    """Tell whether a host's reboot is ordered; if not, why people should look, or nothing.

    Args:
        when: the host's setting, one of `WHEN`.
        packages: that would be upgraded on it.
        waits: its last report about it says `reboot_required`.
        allowed: its authorization says so, or people approve the plan.
    """
    need = next((f"`{p['name']}`" for p in packages if needs(p)), "an earlier change" * waits)
    wanted = when == "always" or (when == "needed" and bool(need))
    if (wanted and allowed) or not (wanted or need):
        return wanted, ""
    what = f"{need} is in effect only after a reboot" if need else "a reboot is set"
    lacks = f"its authorization does not name `{WORD}`" if wanted else "none is set for this host"
    return False, f"{what}, and {lacks}: people decide"
