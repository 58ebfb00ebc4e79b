"""The project's own source as the structure tests read it: parsed once, counted in one way.

A line of code is a line that holds a token other than a comment, outside docstrings. A function's
lines run from its `def` to its end, its docstring not counted, functions inside it counted. Left
out: anything about what the code does.
"""

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "answerable"

Function = ast.FunctionDef | ast.AsyncFunctionDef
_NO_CODE = frozenset(
    {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENCODING,
        tokenize.ENDMARKER,
    }
)


@dataclass(frozen=True)
class Module:
    """One Python file: its path from the root, its tree, and the numbers of its lines of code."""

    path: str
    tree: ast.Module
    code: frozenset[int]

    def functions(self) -> Iterator[tuple[str, int]]:
        """Give `path:line name` and the lines of code of each function."""
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                end = node.end_lineno or node.lineno
                length = sum(1 for n in range(node.lineno, end + 1) if n in self.code)
                yield f"{self.path}:{node.lineno} {node.name}", length

    def calls(self) -> Iterator[tuple[int, str, ast.Call]]:
        """Give line, dotted name (see `dotted`) and node of each call."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield node.lineno, dotted(node.func), node

    def names(self) -> frozenset[str]:
        """Give the names that this file itself binds with `def`, `class` or `import`."""
        bound = {n.name for n in ast.walk(self.tree) if isinstance(n, Function | ast.ClassDef)}
        imports = (n for n in ast.walk(self.tree) if isinstance(n, ast.Import | ast.ImportFrom))
        return frozenset(bound | {a.asname or a.name for node in imports for a in node.names})

    def imports(self) -> Iterator[tuple[int, str]]:
        """Give line and full dotted name of each import, `from a import b` as `a.b`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = "." * node.level + (node.module or "")
                yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def parse(path: str, text: str) -> Module:
    """Read one file's text."""
    tree = ast.parse(text)
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    code: set[int] = set()
    for token in tokens:
        if token.type not in _NO_CODE:
            code.update(range(token.start[0], token.end[0] + 1))
    return Module(path, tree, frozenset(code - _docstrings(tree)))


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    """Read every Python file below the folders, named from the root; a missing folder is empty."""
    files = (file for folder in folders for file in sorted((ROOT / folder).rglob("*.py")))
    return tuple(parse(str(f.relative_to(ROOT)), f.read_text("utf-8")) for f in files)


def dotted(node: ast.expr) -> str:
    """Spell `a.b.c`; what is no plain name is spelled `?`, as in `?.open` for `f().open`."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return "?"


def _docstrings(tree: ast.Module) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | Function):
            continue
        first = node.body[0] if node.body else None
        if (
            isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
        ):
            lines.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return lines
