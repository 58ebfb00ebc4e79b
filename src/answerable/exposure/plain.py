r"""Untrusted text as plain text, for each place where it is shown.

A feed's text may hold terminal escapes, text that runs backwards, characters that nobody sees but a
language model reads, markup, formulas, or sentences that give orders. Here every character that is
not plainly visible is spelled out (`\x1b`, `\u202e`, `\U000e0041`); the words stay, as words.

Left out: what a place escapes by itself (a JSON writer, an XML writer).
"""

import json
from html import escape

_UNSEEN = (
    (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2800, 0x2800),
    (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xE0000, 0xE0FFF),
)  # fmt: skip
"""Code points that Unicode counts as letters or marks and that show nothing
(Default_Ignorable_Code_Point, and the blank Braille cell)."""
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # fmt: skip


def plain(text: str) -> str:
    """Spell out every character that is not plainly visible."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if _seen(c) else _spelled(ord(c)) for c in text)


def _seen(c: str) -> bool:
    return c.isprintable() and not any(low <= ord(c) <= high for low, high in _UNSEEN)


def _spelled(code: int) -> str:
    if code > 0xFFFF:  # noqa: PLR2004  above the basic plane
        return f"\\U{code:08x}"
    return f"\\u{code:04x}" if code > 0xFF else f"\\x{code:02x}"  # noqa: PLR2004  Latin-1


def xml(text: str) -> str:
    """Give text for an element or an attribute of XML or HTML."""
    return escape(plain(text), quote=True)


def cell(value: object) -> str:
    """Give a cell that no spreadsheet takes for a formula (OWASP, CSV Injection)."""
    if isinstance(value, bool | int | float):
        return str(value)
    text = plain(value if isinstance(value, str) else json.dumps(value, sort_keys=True))
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text


def sarif(text: str) -> str:
    """Give text for a SARIF message: no placeholder, no link (SARIF 2.1.0, 3.11.5 and 3.11.6).

    A link is taken apart instead of escaped: `[a](b)` becomes `[a] (b)`, so no backslash of the
    text's own can undo it.
    """
    return plain(text).replace("{", "{{").replace("}", "}}").replace("](", "] (")
