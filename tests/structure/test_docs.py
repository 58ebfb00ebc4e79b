"""What the documents say is what the program does: commands, help, contracts, exit codes, links."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

from scripts import cli_docs
from tests.structure.source import ROOT

_README = (ROOT / "README.md").read_text("utf-8")
_CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
_PAGES = sorted(
    page
    for folder in (".", "docs", "docs/adr", "docs/spec", "docs/operate")
    for page in (ROOT / folder).glob("*.md")
)


def _top_level() -> set[str]:
    if importlib.util.find_spec("answerable.cli.main") is None:
        return set()
    return {path[0] for path in cli_docs.commands() if len(path) == 1}


def test_readme_lists_every_command_and_no_other() -> None:
    """No command is undocumented, and none is documented that is not there."""
    rows = re.findall(r"^\| `answerable ([a-z-]+)", _README, re.MULTILINE)
    assert set(rows) == _top_level()


def test_help_is_what_the_page_says() -> None:
    """docs/cli.md is the commands' own help (`make docs` writes it anew)."""
    written = cli_docs.PAGE.read_text("utf-8") if cli_docs.PAGE.exists() else ""
    assert written == (cli_docs.page() if _top_level() else "")


@pytest.mark.parametrize("contract", _CONTRACTS["contracts"], ids=lambda c: c["name"][:40])
def test_readme_states_each_import_contract(contract: dict[str, str]) -> None:
    """The security model in the README is the list of contracts that the test command enforces."""
    assert contract["name"] in re.sub(r"\s+", " ", _README)


def test_readme_states_each_exit_code() -> None:
    """A script can rely on four exit codes."""
    assert re.findall(r"^\| ([0-3]) \|", _README, re.MULTILINE) == ["0", "1", "2", "3"]


@pytest.mark.parametrize("page", _PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """No page points at a file that is not there."""
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
