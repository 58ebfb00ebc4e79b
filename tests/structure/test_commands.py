"""What the pages tell people to type is what the program takes."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.main import get_command

from answerable.bootstrap import feeds, guard
from answerable.config import Party
from scripts import cli_docs
from tests.structure.source import ROOT

_PAGES = (
    ROOT / "README.md",
    ROOT / "examples" / "README.md",
    *sorted((ROOT / "docs" / "operate").glob("*.md")),
)
_LINE = re.compile(r"(?:^ {4}|`)(answerable [^`\n]*)", re.MULTILINE)


def _typed() -> Iterator[tuple[str, list[str]]]:
    for page in _PAGES:
        text = page.read_text("utf-8").replace("\\\n", " ")
        for line in _LINE.findall(text):
            yield page.name, shlex.split(line.split(" > ")[0], comments=True)[1:]


def _find(words: list[str]) -> tuple[Any, list[str]]:
    command: Any = get_command(cli_docs.application())
    left = list(words)
    while left and left[0] in getattr(command, "commands", {}):
        command = command.commands[left.pop(0)]
    return command, left


def _options(command: Any) -> Mapping[str, Any]:  # noqa: ANN401  Typer's own kinds
    return {name: one for one in command.params for name in one.opts if name.startswith("--")}


@pytest.mark.parametrize(("page", "words"), list(_typed()), ids=lambda v: " ".join(v)[:60])
def test_each_command_of_a_page_exists_with_its_options(page: str, words: list[str]) -> None:
    """Nobody types a command or option from a page and is told that it is none."""
    command, left = _find(words)
    named = {word for word in left if word.startswith("--")}
    assert named <= _options(command).keys() | {"--help"}, page
    if hasattr(command, "commands"):
        assert not [word for word in left if not word.startswith("-")], page


@pytest.mark.parametrize(("page", "words"), list(_typed()), ids=lambda v: " ".join(v)[:60])
def test_commands_of_the_founding_page_are_whole(page: str, words: list[str]) -> None:
    """On the page that people follow line by line, no demanded option is left out."""
    command, left = _find(words)
    if page == "founding.md" and len(left) > 1:
        needed = {name for name, one in _options(command).items() if one.required}
        assert needed <= set(left)


def test_settings_of_the_founding_page_are_read(tmp_path: Path) -> None:
    """A guard starts with the settings that the page shows."""
    text = (ROOT / "docs" / "operate" / "founding.md").read_text("utf-8")
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    settings = next(one for one in shown if "addresses" in one)
    party = Party(tmp_path, "guard", "g1", "team1", "", "", settings)
    assert guard.setting(party, "log") == "https://log.example"
    assert [address.channel for address in guard._book(party)["lee"]] == ["mail", "file"]
    with httpx.Client() as client:
        assert guard._channels(party, client).keys() == {"file", "mail", "webhook"}
        (source,) = feeds.sources(settings["feeds"]["debian"], party, client, lambda: False)
    assert source
