"""What must be believed stays small enough to be read, and no function hides in its length."""

from tests.structure.source import modules, parse

KERNEL_LINES = 1_000
FILE_LINES = 400
FUNCTION_LINES = 50
FUNCTION_LINES_P90 = 22


def test_counting_leaves_out_docstrings_comments_and_blanks() -> None:
    """The counter counts code and nothing else."""
    text = (
        '"""Doc."""\n\n# why\ndef f() -> str:\n    """Doc.\n\n    More."""\n    return """a\nb"""\n'
    )
    module = parse("x.py", text)
    assert len(module.code) == 3
    assert list(module.functions()) == [("x.py:4 f", 3)]


def test_kernel_is_at_most_a_thousand_lines_of_code() -> None:
    """A reviewer can read everything that a host must believe."""
    sizes = {m.path: len(m.code) for m in modules("src/answerable/kernel")}
    assert sum(sizes.values()) <= KERNEL_LINES, sizes


def test_files_are_short() -> None:
    """No file grows past one sitting."""
    long = {m.path: len(m.code) for m in modules("src", "scripts") if len(m.code) > FILE_LINES}
    assert long == {}


def test_functions_are_short() -> None:
    """No function is above the cap, and nine of ten are below the goal."""
    found = [f for m in modules("src", "scripts") for f in m.functions()]
    assert [f for f in found if f[1] > FUNCTION_LINES] == []
    lengths = sorted(length for _, length in found)
    p90 = lengths[int(len(lengths) * 0.9)] if lengths else 0
    worst = sorted(found, key=lambda f: -f[1])[:10]
    assert p90 <= FUNCTION_LINES_P90, worst
