"""Package URLs, by which documents name packages, and what is matched for each.

Form (github.com/package-url/purl-spec): `pkg:type/namespace/name@version?key=value&..#subpath`,
each part percent-encoded. Example: `pkg:deb/debian/passwd@4.13-1?arch=amd64&distro=debian-12.5
&epoch=1&upstream=shadow%404.13-1`. Rules:

1. The name is spelled as the ecosystem's advisories spell it: `@scope/name`, `group:artifact`,
   a Go module's whole path, a normalised Python project, NuGet and Packagist in lower case.
2. A distribution's package needs a release (`distro`, or the document's): without one there is no
   telling which advisories are meant.
3. A type that no advisory names is a `Gap`, and so is a package without a version.

Left out: `vers` ranges, and what a qualifier says of where a package was fetched.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import unquote

from answerable.inventory import release
from answerable.inventory.installed import Gap, Installed

LENGTH = 4_096
"""Longest package URL that is read, characters."""
NAME, VERSION = 512, 255
"""Longest name and version, characters."""
LANGUAGES = {
    "cargo": "crates.io", "composer": "packagist", "conan": "conancenter", "cran": "cran",
    "gem": "rubygems", "githubactions": "github actions", "golang": "go", "hackage": "hackage",
    "hex": "hex", "maven": "maven", "npm": "npm", "nuget": "nuget", "pub": "pub", "pypi": "pypi",
    "swift": "swifturl",
}  # fmt: skip
"""Types whose advisories hold for every system, by the ecosystem's name."""
SYSTEMS = frozenset({"apk", "deb", "rpm"})
"""Types whose advisories are those of one distribution's release."""
_ESCAPES = {hexes: chr(n) for n in range(128) for hexes in (f"{n:02x}", f"{n:02X}")}
_SPOKEN = re.compile(r"[^\x00-\x20\x7f]+")
_SOURCE_RPM = re.compile(r"(.+)-([^-]+-[^-]+)\.(?:no)?src\.rpm")
_DISTRO = re.compile(r"(.+?)-(v?\d.*)")


def package(purl: str, system: str = "", built: tuple[str, str] = ("", "")) -> Installed | Gap:
    """Give the package that a URL names.

    Args:
        purl: untrusted.
        system: the document's release, such as `debian:12`, for URLs that name none.
        built: source package and its version as the document says, for URLs that do not.
    """
    kind, path, version, more = _split(purl)
    if not path or not _sound(path[-1], version):
        return Gap(purl[:NAME], "no package URL" if not path else "a name or version of no form")
    if kind in LANGUAGES:
        name = _name(kind, path)
        if not version:
            return Gap(name, "no version")
        return Installed(LANGUAGES[kind], name, version.removeprefix("v") if kind == "golang"
                         else version, "", name)  # fmt: skip
    if kind not in SYSTEMS:
        return Gap(purl[:NAME], f"no advisories name packages of type `{kind[:32]}`")
    where = _system(more.get("distro", ""), path) or system
    if not where or not version:
        return Gap(purl[:NAME], "no version" if where else "it does not say of which release")
    return _of_system(where, path[-1], _whole(version, more.get("epoch", "")), more, built)


def _of_system(
    where: str, name: str, version: str, more: Mapping[str, str], built: tuple[str, str]
) -> Installed | Gap:
    source, at = _upstream(more["upstream"], version) if "upstream" in more else ("", "")
    if not source:
        source, at = built
    if source and not _sound(source, at):
        return Gap(name, "a source package of no form")
    at = "" if at == version else at
    arch = more.get("arch", "")[:32]
    return Installed(where, name, version, arch, source or name, "installed", (), at)


def _upstream(said: str, version: str) -> tuple[str, str]:
    """Give the source package that a URL names, and its version; empty if it does not."""
    if rpm := _SOURCE_RPM.fullmatch(said):
        return rpm[1], _whole(rpm[2], version.partition(":")[0] if ":" in version else "")
    source, _, at = said.partition("@")
    return source, at


def _split(purl: str) -> tuple[str, list[str], str, Mapping[str, str]]:
    head, slash, rest = purl[: LENGTH + 1].partition("/")
    if len(purl) > LENGTH or head[:4] != "pkg:" or not slash:
        return "", [], "", {}
    rest, _, query = (rest.partition("#")[0] if "#" in rest else rest).partition("?")
    path, _, version = rest.rpartition("@")
    if not path.strip("/"):  # no version; or an npm scope whose `@` should have been encoded
        path, version = rest, ""
    parts = [part for part in path.split("/") if part]
    if "%" in path:
        parts = [_plain(part) for part in parts]
    version = _plain(version) if "%" in version else version
    return head[4:].lower(), parts, version, _query(query) if query else {}


def _plain(text: str) -> str:
    first, *parts = text.split("%")
    try:  # most escapes are of a few ASCII signs, which `unquote` takes ten times as long for
        return first + "".join([_ESCAPES[part[:2]] + part[2:] for part in parts])
    except KeyError:
        return unquote(text)


@lru_cache(maxsize=4096)
def _query(query: str) -> Mapping[str, str]:
    pairs = (each.partition("=") for each in query.split("&")[:64])
    return {key.lower(): _plain(value) for key, _, value in pairs}


def _sound(name: str, version: str) -> bool:
    return 0 < len(name) <= NAME and len(version) <= VERSION and _spoken(name + version)


def _spoken(text: str) -> bool:
    if text.isascii() and text.isprintable():
        return " " not in text
    return bool(_SPOKEN.fullmatch(text))


def _name(kind: str, path: list[str]) -> str:
    if kind == "pypi":
        return normal(path[-1])
    if kind == "maven":
        return f"{'.'.join(path[:-1])}:{path[-1]}"
    if kind == "composer":
        return "/".join(path).lower()
    if kind == "nuget":
        return path[-1].lower()
    return "/".join(path) if kind in ("npm", "golang", "githubactions", "swift") else path[-1]


def normal(project: str) -> str:
    """Spell a Python project's name in the one way (PEP 503)."""
    return re.sub(r"[-_.]+", "-", project).lower()


@lru_cache(maxsize=1024)
def _distro(said: str) -> str:
    parts = _DISTRO.fullmatch(said)
    return release.ecosystem(parts[1], parts[2]) if parts else ""


def _system(said: str, path: list[str]) -> str:
    named = _distro(said)
    if said and not named and path[:-1]:
        named = release.ecosystem(path[0], said)
    return named


def _whole(version: str, epoch: str) -> str:
    if not epoch:
        return version
    has = version.partition(":")[0].isdigit() and ":" in version
    return f"{epoch}:{version}" if epoch.isdigit() and epoch != "0" and not has else version
