"""Each class of sensitive effects is known by its paths and rights."""

import pytest

from answerable.host.transaction.port import Look
from answerable.host.transaction.sensitive import CLASSES, classes

PLAIN = Look("file", 0o644)
PATHS = {
    "unit": "/usr/lib/systemd/system/ssh.service /etc/systemd/system/x.service.d/o.conf "
            "/lib/systemd/user/x.socket /etc/init.d/cron /etc/rc3.d/S01cron",
    "cron": "/etc/cron.d/x /etc/crontab /etc/cron.daily/x /var/spool/cron/crontabs/root",
    "account": "/etc/passwd /etc/shadow /etc/group /etc/gshadow- /usr/lib/sysusers.d/x.conf",
    "sudo": "/etc/sudoers /etc/sudoers.d/x /usr/share/polkit-1/actions/x.policy",
    "pam": "/etc/pam.d/sshd /usr/lib/x86_64-linux-gnu/security/pam_unix.so /etc/nsswitch.conf",
    "ssh": "/etc/ssh/sshd_config /root/.ssh/authorized_keys /home/u/.ssh/authorized_keys",
    "package-source": "/etc/apt/sources.list /etc/apt/trusted.gpg.d/x /usr/share/keyrings/x.gpg "
                      "/var/lib/dpkg/diversions",
    "loader": "/etc/ld.so.preload /etc/ld.so.conf.d/x.conf",
    "udev": "/usr/lib/udev/rules.d/60-x.rules /etc/udev/rules.d/x.rules",
    "module": "/etc/modprobe.d/x.conf /lib/modules/6.1/x.ko /etc/modules /usr/lib/modprobe.d/x",
    "ca": "/usr/share/ca-certificates/mozilla/x.crt /etc/ssl/certs/x.pem /etc/ca-certificates.conf",
    "kernel-setting": "/etc/sysctl.conf /usr/lib/sysctl.d/x.conf /usr/lib/tmpfiles.d/x.conf",
    "boot": "/boot/vmlinuz-6.1 /etc/default/grub /usr/share/initramfs-tools/hooks/x",
    "firewall": "/etc/nftables.conf /etc/iptables/rules.v4",
    "shell": "/etc/profile /etc/profile.d/x.sh /etc/bash.bashrc /root/.bashrc",
    "bus": "/usr/share/dbus-1/system.d/x.conf /etc/dbus-1/system.d/x.conf",
}  # fmt: skip


@pytest.mark.parametrize("name", PATHS)
def test_paths_of_a_class(name: str) -> None:
    """Each path that the class is about is of the class."""
    assert [p for p in PATHS[name].split() if name not in classes(p, None, PLAIN)] == []
    assert name in CLASSES


def test_timers_are_units_too() -> None:
    """A timer is named as such."""
    assert classes("/lib/systemd/system/x.timer", None, PLAIN) == ["unit", "timer"]


def test_rights_make_a_class() -> None:
    """Setuid, setgid and attributes count wherever the file lies, also when they go."""
    capable = Look("file", 0o755, attributes=(("security.capability", "01"),))
    assert classes("/opt/x", None, Look("file", 0o2755)) == ["setuid"]
    assert classes("/opt/x", None, capable) == ["capability"]
    assert classes("/opt/x", capable, PLAIN) == ["capability"]


@pytest.mark.parametrize("path", ["/usr/bin/openssl", "/usr/lib/x86_64-linux-gnu/libssl.so.3",
                                  "/etc/nginx/nginx.conf", "/usr/share/doc/sudo/x"])  # fmt: skip
def test_ordinary_files_have_no_class(path: str) -> None:
    """An ordinary security update needs nobody to name a class."""
    assert classes(path, PLAIN, Look("file", 0o755)) == []
