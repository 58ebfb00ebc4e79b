"""What a model sees of a flaw: whole numbers and words known when it was published, nothing later.

    cvss          base score in tenths, from the vector; `av` .. `a` its letters
    cna, vendor   who named the flaw, whose product it is in; lower case
    vendor_kev    flaws of this vendor listed as exploited before this one was published
    product_kev   the same of vendor and product; cna_kev of who named it
    refs          number of references; words, of the description
    lag           years between the name and the publication
    cwe_*         1 if that weakness is named, else 0
    says_*        1 if title or description holds one of the phrases of `PHRASES`, else 0

Rules:

1. Every value is as of the second of publication: a listing counts for later flaws only. What was
   written later, as the SSVC decision on a flaw that is already listed, is no feature: it tells the
   answer (and measured AUC fell from 0.87 to 0.80 when it was one).
2. What is not said is None, which a model scores apart; it is never zero.
3. Text is only searched for phrases, whole words, at most `TEXT` characters of it. It is never
   interpreted, whatever it asks for.

Left out: tags of references and counts of affected products, which grow after publication.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from answerable.feeds import cvss

VERSION = "publication/1"
"""Name of this set of features; a model names the one it was trained on."""
TEXT = 2_000
"""How much of title and description is searched, characters."""
MANY = 20
"""From so many references on, there are many; publications keep no more (feeds/publication.py)."""
Value = int | str | None
Features = Mapping[str, Value]

METRICS = ("AV", "AC", "PR", "UI", "S", "C", "I", "A")
CWES = (20, 22, 77, 78, 79, 89, 94, 119, 122, 125, 190, 200, 264, 269, 284, 287, 288, 306, 352, 416,
        434, 476, 502, 611, 787, 798, 843, 862, 918)  # fmt: skip
PHRASES: Mapping[str, str] = {
    "rce": r"remote code execution|execute (arbitrary )?code|arbitrary code|code execution",
    "command": r"command injection|os commands?|arbitrary commands?|shell metacharacters?",
    "unauthenticated": r"unauthenticated|without authentication|pre-?auth(entication|enticated)?",
    "authenticated": r"authenticated (user|attacker|remote)|low[- ]privileged?",
    "bypass": r"bypass(es|ed|ing)?",
    "privileges": r"privilege escalation|elevation of privileges?|escalate privileges?",
    "sql": r"sql injection",
    "xss": r"cross-site scripting|xss",
    "deserialization": r"(de|un)seriali[sz]\w+",
    "traversal": r"(path|directory) traversal|arbitrary files?",
    "upload": r"(file|arbitrary|unrestricted) uploads?",
    "overflow": r"(buffer|stack|heap|integer)[- ](based )?(buffer )?overflow",
    "memory": r"use[- ]after[- ]free|type confusion|out[- ]of[- ]bounds|memory corruption",
    "ssrf": r"server-side request forgery|ssrf",
    "denial": r"denial[- ]of[- ]service|dos|crash(es)?|null pointer",
    "disclosure": r"information disclosure|sensitive information|information leak",
    "credentials": r"hard-?coded|default (password|credentials?)|credentials?|passwords?",
    "wild": r"in the wild|actively exploited|been exploited|limited, targeted",
    "crafted": r"crafted",
    "device": r"firmware|routers?|cameras?|nas|dvr|nvr|modems?",
    "edge": r"vpn|gateways?|firewalls?|fortios|pan-os|appliances?|adc",
    "windows": r"windows|microsoft",
    "mobile": r"android|ios|ipados|iphone|qualcomm|chipset|pixel",
    "kernel": r"linux kernel|kernel",
    "plugin": r"wordpress|plugins?|themes?",
    "browser": r"chrome|chromium|v8|webkit|safari|firefox|browser",
    "sandbox": r"sandbox|guest|hypervisor|virtual machine",
    "management": r"(management|admin\w*|web)(-based)? (interface|console|panel)",
    "php": r"\.php|php|codeastro|sourcecodester|phpgurukul",
}
"""Whole words that are searched for: `fortios` is no `ios`, which a model once took it for."""
# Whether a word begins here is looked at afterwards: a pattern that begins with a look behind is
# tried at every character.
_PHRASES = {name: re.compile(rf"(?:{words})(?![a-z0-9])") for name, words in PHRASES.items()}
_INSIDE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_CVE = re.compile(r"CVE-(\d{4})-\d{4,19}")
_ODD = re.compile(r"[^\w .,+&/:@-]")


@dataclass(frozen=True, slots=True)
class Flaw:
    """What was published about a flaw; every text is untrusted.

    Args:
        cve: its name.
        published: POSIX seconds; 0 if not known.
        vector: CVSS 3 vector, or empty.
        cwes: such as `CWE-79`.
        cna: who named it.
        references: how many; -1 if not known.
    """

    cve: str
    published: int = 0
    vector: str = ""
    cwes: tuple[str, ...] = ()
    cna: str = ""
    vendor: str = ""
    product: str = ""
    title: str = ""
    description: str = ""
    references: int = -1


class Listings:
    """When flaws were listed as exploited, by whose product they are in."""

    def __init__(self, listed: Iterable[tuple[Flaw, int]]) -> None:
        """Take each listed flaw with the POSIX second of its listing."""
        found: dict[tuple[str, ...], list[int]] = {}
        for flaw, since in listed:
            vendor, product = _word(flaw.vendor), _word(flaw.product)
            for name in (("v", vendor), ("p", vendor, product), ("c", _word(flaw.cna))):
                if all(name):
                    found.setdefault(name, []).append(since)
        self._found = {name: sorted(times) for name, times in found.items()}

    def before(self, second: int, *name: str) -> Value:
        """Count the listings under a name before a second; None if the name is not known."""
        return bisect_left(self._found.get(name, []), second) if all(name) else None


def features(flaw: Flaw, listings: Listings) -> dict[str, Value]:
    """Give every feature of a flaw, as of its publication."""
    score = cvss.tenths(flaw.vector)
    letters = dict(each.partition(":")[::2] for each in flaw.vector[: cvss.LENGTH].split("/")[1:])
    vendor, product, cna = _word(flaw.vendor), _word(flaw.product), _word(flaw.cna)
    at = flaw.published
    text = f"{flaw.title}. {flaw.description}"[:TEXT].lower()
    named = {cwe.strip().upper() for cwe in flaw.cwes}
    return {
        "cvss": score if score >= 0 else None,
        **{name.lower(): (letters.get(name) or None) if score >= 0 else None for name in METRICS},
        "cna": cna or None,
        "vendor": vendor or None,
        "vendor_kev": listings.before(at, "v", vendor) if at else None,
        "product_kev": listings.before(at, "p", vendor, product) if at else None,
        "cna_kev": listings.before(at, "c", cna) if at else None,
        "refs": min(flaw.references, MANY) if flaw.references >= 0 else None,
        "words": len(text.split()) if flaw.description else None,
        "lag": _lag(flaw),
        **{f"cwe_{cwe}": int(f"CWE-{cwe}" in named) if named else None for cwe in CWES},
        **{f"says_{name}": int(_holds(found, text)) for name, found in _PHRASES.items()},
    }


def _holds(phrase: re.Pattern[str], text: str) -> bool:
    found = phrase.search(text)
    while found and found.start() and text[found.start() - 1] in _INSIDE:
        found = phrase.search(text, found.start() + 1)
    return found is not None


def _lag(flaw: Flaw) -> Value:
    named = _CVE.fullmatch(flaw.cve)
    if not named or not flaw.published:
        return None
    return max(0, datetime.fromtimestamp(flaw.published, UTC).year - int(named[1]))


def _word(text: str) -> str:
    word = " ".join(_ODD.sub(" ", text.lower()).split())[:64]
    return "" if word in ("n/a", "unknown", "unspecified", "-") else word
