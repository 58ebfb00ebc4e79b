"""Files computed from others: made anew by the host's own tools, never taken from a script.

A cache that a maintainer script or trigger has changed is thrown away; afterwards the named tool
computes it again in a copy that holds the host and the explained files, and nothing else. So a
script can neither slip something into such a file nor keep it back.

| tool | what it computes |
|---|---|
| `ldconfig` | the dynamic loader's cache |
| `py_compile` | byte code beside Python's sources |
| `update-mime-database` and others | desktop caches, each below one folder |
| `rpm` | its own database, from the host's and the named packages, without a script |
| `depmod` | which kernel module needs which, below the folder of one kernel |
| `mkinitramfs` | the initial disk of one kernel (initrd.py tells whether it lacks something) |

Caches that every tool can make again at any time are not committed at all (`discarded`), and
neither are logs. Left out: everything else that packages compute, which a person must look at.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

ARGUMENTS = "{packages}"
"""Stands in a tool's argv for the files of the packages, as the copy sees them."""


JUST_DATABASE = ("--upgrade", "--justdb", "--noscripts", "--notriggers", "--noplugins",
                 "--oldpackage", "--nodeps")  # fmt: skip
"""Words with which rpm writes packages into its database and does nothing else."""


@dataclass(frozen=True)
class Tool:
    """One tool: the paths that it computes, its argv, and how a path becomes an argument.

    `argument` is of what a path is computed from; with `words` the tool is called once for each of
    these, with the words in its place.
    """

    name: str
    paths: re.Pattern[str]
    argv: tuple[str, ...]
    argument: str = ""
    words: tuple[str, ...] = ()


def _tool(
    name: str, paths: str, *argv: str, argument: str = "", words: tuple[str, ...] = ()
) -> Tool:
    return Tool(name, re.compile(paths), argv, argument, words)


TOOLS = (
    _tool("ldconfig", r"/etc/ld\.so\.cache", "/sbin/ldconfig"),
    _tool("py_compile", r"(?P<folder>/usr/.*)/__pycache__(/(?P<stem>[^/]+)\.cpython-\d+\.pyc)?",
          "/usr/bin/python3", "-I", "-S", "-m", "py_compile", argument=r"\g<folder>/\g<stem>.py"),
    _tool("update-mime-database", r"/usr/share/mime/.*", "/usr/bin/update-mime-database",
          "/usr/share/mime"),
    _tool("update-desktop-database", r"/usr/share/applications/mimeinfo\.cache",
          "/usr/bin/update-desktop-database", "-q"),
    _tool("glib-compile-schemas", r"(/usr/share/glib-2\.0/schemas)/gschemas\.compiled",
          "/usr/bin/glib-compile-schemas", argument=r"\1"),
    _tool("install-info", r"/usr/share/info/dir(\.old)?", "/usr/sbin/update-info-dir"),
    _tool("systemd-hwdb", r"(/usr)?/lib/udev/hwdb\.bin", "/usr/bin/systemd-hwdb", "--usr",
          "update"),
    _tool("journalctl", r"/var/lib/systemd/catalog/database", "/usr/bin/journalctl",
          "--update-catalog"),
    *(_tool("rpm", rf"{folder}/rpmdb\.sqlite", "/usr/bin/rpm", f"--dbpath={folder}", *JUST_DATABASE,
            "--", ARGUMENTS) for folder in ("/var/lib/rpm", "/usr/lib/sysimage/rpm")),
    _tool("depmod", r"(?P<folder>(/usr)?/lib/modules/(?P<release>[^/]+))/modules\."
          r"((builtin\.)?alias|(builtin\.alias|builtin|alias|dep|symbols)\.bin|dep|devname|softdep"
          r"|symbols|weakdep)", "/sbin/depmod", argument=r"\g<folder>", words=(r"\g<release>",)),
    _tool("mkinitramfs", r"/boot/initrd\.img-(?P<release>[^/]+)", "/usr/sbin/mkinitramfs", "-o",
          argument=r"/boot/vmlinuz-\g<release>", words=(r"\g<0>", r"\g<release>")),
)  # fmt: skip
_DISCARDED = re.compile(
    r"/var/(log|cache)/.*|/(tmp|run|var/tmp|var/run)/.*"
    r"|/var/lib/apt/(extended_states|periodic/.*|lists/.*)|/var/lib/dpkg/(status|diversions|"
    r"statoverride)-old|/var/lib/dpkg/(lock|lock-frontend|available|triggers/Lock|triggers/Unincorp)"
    r"|(/var/lib|/usr/lib/sysimage)/rpm/(\.rpm\.lock|rpmdb\.sqlite-(shm|wal))|/var/lib/dnf/.*"
    r"|/var/lib/dpkg/info/format|/var/lib/dpkg/updates/.*|/var/lib/ucf/cache/.*"
    r"|/root/\.(cache|python_history)/?.*|/var/lib/man-db/.*"
)


def discarded(path: str) -> bool:
    """Tell whether a path is never committed: logs, caches, locks."""
    return bool(_DISCARDED.fullmatch(path))


def tool_of(path: str) -> Tool | None:
    """Give the tool that computes a path."""
    return next((tool for tool in TOOLS if tool.paths.fullmatch(path)), None)


def source_of(path: str) -> str:
    """Give the one file from which a path is computed; nothing if it is computed from many."""
    tool = tool_of(path)
    found = tool.paths.fullmatch(path) if tool else None
    return found.expand(tool.argument) if tool and found else ""


def commands(paths: Iterable[str], exists: Callable[[str], bool]) -> list[tuple[str, ...]]:
    """Give the commands that compute these paths anew; sources that are gone are left out."""
    wanted: dict[Tool, set[tuple[str, ...]]] = {}
    for path in paths:
        if tool := tool_of(path):
            calls = wanted.setdefault(tool, set())
            if (source := source_of(path)) and exists(source):
                calls.add(_words(tool, path) or (source,))
    # In the order of the table: an initial disk is made of what depmod wrote.
    rows = [(tool, sorted(wanted[tool])) for tool in TOOLS if tool in wanted]
    return [argv for tool, calls in rows if calls or not tool.argument
            for argv in _split(tool, calls)]  # fmt: skip


def _words(tool: Tool, path: str) -> tuple[str, ...]:
    found = tool.paths.fullmatch(path)
    return tuple(map(found.expand, tool.words)) if found else ()


def _split(tool: Tool, calls: Sequence[tuple[str, ...]], most: int = 500) -> list[tuple[str, ...]]:
    if tool.words:
        return [(*tool.argv, *words) for words in calls]
    words = [word for call in calls for word in call]
    parts = [words[n : n + most] for n in range(0, len(words), most)] or [[]]
    return [(*tool.argv, *part) for part in parts]
