"""Time is an argument: only the outermost files read a clock, so that a test can hold it still."""

import ast

from tests.structure.source import Module, modules, parse

CLOCKS = frozenset(
    {
        "clock_gettime", "clock_gettime_ns", "monotonic", "monotonic_ns", "perf_counter",
        "perf_counter_ns", "process_time", "time", "time_ns",
    }
)  # fmt: skip
DATES = frozenset({"now", "today", "utcnow"})


def _reads(module: Module) -> list[str]:
    found = [
        f"{module.path}:{line} {name}"
        for line, name in module.imports()
        if name.startswith("time.") and name.removeprefix("time.") in CLOCKS
    ]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else node.value.id
            clock = owner == "time" and node.attr in CLOCKS
            if clock or (owner in {"date", "datetime"} and node.attr in DATES):
                found.append(f"{module.path}:{node.lineno} {owner}.{node.attr}")
    return found


def test_the_search_finds_each_way_to_read_a_clock() -> None:
    """A clock read by any of its usual spellings is seen."""
    text = "import time\nfrom time import monotonic\nf = time.time\ndatetime.datetime.now()\n"
    assert [r.split(" ")[1] for r in _reads(parse("x.py", text))] == [
        "time.monotonic",
        "time.time",
        "datetime.now",
    ]


def test_only_bootstrap_and_main_files_read_a_clock() -> None:
    """No rule can be moved by moving a clock that it reads behind its caller's back."""
    inner = [
        m
        for m in modules("src")
        if not m.path.endswith("/__main__.py")
        and not m.path.startswith(("src/answerable/bootstrap.py", "src/answerable/bootstrap/"))
    ]
    assert [read for m in inner for read in _reads(m)] == []
