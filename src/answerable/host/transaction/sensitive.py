"""Classes of sensitive effects: what an authorization must name even if a package ships it.

| class | what belongs to it |
|---|---|
| `setuid` | a file with the setuid or setgid bit, new or changed |
| `capability` | a file with capabilities, new or changed, or one that loses or gains attributes |
| `unit`, `timer` | units of systemd (also of users and generators), and timers; init scripts |
| `cron` | cron tables and scripts, at |
| `account` | passwd, group, shadow, subuid, sysusers |
| `sudo` | sudoers, polkit rules, doas |
| `pam` | PAM configuration and modules, nsswitch |
| `ssh` | ssh and sshd configuration, authorized keys |
| `package-source` | configuration, sources, keys and keyrings of apt, dpkg, rpm, dnf |
| `loader` | the dynamic loader's configuration and preloads |
| `udev`, `module` | udev rules and hwdb; kernel modules, modprobe, modules-load |
| `ca` | certificate authorities |
| `kernel-setting` | sysctl, tmpfiles, binfmt |
| `boot` | kernels, initramfs hooks and images, boot loaders |
| `firewall` | nftables, iptables |
| `shell` | what every shell of every user reads |
| `bus` | D-Bus policies and services |
| `install` | a package that was not there before (packages.py) |
| `live` | data of a service, which the package's own script writes on the host itself (live.py) |

An effect is sensitive only if it changes something: a unit that a new version ships unchanged is no
effect at all. Left out: what a binary does once it runs.
"""

import re

from answerable.host.transaction.port import Look

_SETUID = 0o6000
_PATHS = {
    "unit": r"/(usr/)?lib/systemd/(system|user)(-generators|-preset|-shutdown|-sleep)?/.*"
            r"|/etc/systemd/.*|/etc/(rc\.d/)?(init\.d|rc.?\.d)/.*|/etc/inittab|/etc/xdg/autostart/.*"
            r"|/usr/share/user-tmpfiles\.d/.*|/etc/xdg/systemd/.*|/etc/(x?inetd)\b.*",
    "timer": r".*\.timer(/.*|\.wants/.*)?",
    "cron": r"/etc/(ana)?cron.*|/var/spool/(ana)?cron/.*|/etc/at\.(allow|deny)",
    "account": r"/etc/(passwd|group|g?shadow|sub[ug]id)-?|/(usr/)?lib/sysusers\.d/.*"
               r"|/etc/sysusers\.d/.*|/etc/login\.defs|/etc/shells",
    "sudo": r"/etc/sudo.*|/etc/doas.*|/etc/polkit-1/.*|/usr/share/polkit-1/.*",
    "pam": r"/etc/pam\..*|/etc/security/.*|.*/security/pam_[^/]*|/usr/share/pam(-configs)?/.*"
           r"|/etc/nsswitch\.conf|.*/libnss_[^/]*",
    "ssh": r"/etc/ssh/.*|.*/\.ssh(/.*)?",
    "package-source": r"/etc/(apt|dpkg)/.*|/usr/share/keyrings/.*|/usr/share/apt/.*"
                      r"|/var/lib/dpkg/(diversions|statoverride)|/etc/(yum|dnf|rpm)(\..*|/.*)?"
                      r"|/etc/pki/rpm-gpg/.*|/usr/lib/rpm/(.*/)?(macros.*|rpmrc)"
                      r"|/usr/share/distribution-gpg-keys/.*",
    "loader": r"/etc/ld\.so\..*|(/usr)?/lib(32|64|x32)?/(.*/)?ld-[^/]*\.so[^/]*",
    "udev": r"(/usr)?/lib/udev/.*|/etc/udev/.*",
    "module": r"(/usr)?/lib/modules/.*|(/usr)?/lib/modprobe\.d/.*|/etc/modprobe.*|/etc/modules.*"
              r"|(/usr)?/lib/modules-load\.d/.*|(/usr)?/lib/firmware/.*",
    "ca": r"/usr/share/ca-certificates/.*|/etc/ssl/certs(/.*)?|/usr/local/share/ca-certificates/.*"
          r"|/etc/ca-certificates.*|/etc/pki/(tls/certs|ca-trust)(/.*)?|/usr/share/pki/.*",
    "kernel-setting": r"/etc/sysctl.*|(/usr)?/lib/(sysctl|tmpfiles|binfmt)\.d/.*"
                      r"|/etc/(tmpfiles|binfmt)\.d/.*",
    "boot": r"/boot(/.*)?|/etc/initramfs-tools/.*|/usr/share/initramfs-tools/.*|/etc/default/grub.*"
            r"|/etc/grub\.d/.*|/etc/kernel/.*|/(initrd|vmlinuz).*|/usr/lib/dracut/.*",
    "firewall": r"/etc/(nftables|iptables|ufw|firewalld).*|/etc/sysconfig/(nftables|ip6?tables).*",
    "shell": r"/etc/(profile|environment|bash\.bashrc|bashrc|csh\.[^/]*|zsh|skel)(\..*|/.*)?"
             r"|/root/\..*",
    "bus": r"/etc/dbus-1/.*|/usr/share/dbus-1/.*",
}  # fmt: skip
_KNOWN = {name: re.compile(form) for name, form in _PATHS.items()}
INSTALL, LIVE = "install", "live"
CLASSES = ("setuid", "capability", *_PATHS, INSTALL, LIVE)
"""Every class, in one order."""


def classes(path: str, before: Look | None, after: Look | None) -> list[str]:
    """Give the classes of one effect, in the order of `CLASSES`."""
    found = [name for name, form in _KNOWN.items() if form.fullmatch(path)]
    had = before.attributes if before else ()
    if after and (after.attributes or had):
        found.insert(0, "capability")
    if after and after.kind == "file" and after.mode & _SETUID:
        found.insert(0, "setuid")
    return found
