"""Anybody can ask by whom a file was signed, and scripts can rely on the exit code."""

import hashlib
import json
from pathlib import Path

import pytest

from answerable.cli.main import main
from answerable.feeds.proven import SLSA
from tests.feeds.test_provenance import ACTIONS, ARTEFACT, EXPECTED, FOLDER, root


def _run(tmp_path: Path, subject: str, **options: str) -> int:
    place = tmp_path / "root.json"
    place.write_bytes(root())
    given = {
        "bundle": str(FOLDER / "github.slsa.attestation"), "root": str(place),
        "sha256": hashlib.sha256(root()).hexdigest(), "issuer": ACTIONS,
        "identity": EXPECTED.identity, **options,
    }  # fmt: skip
    words = [word for name, value in given.items() for word in (f"--{name}", value)]
    return main(["feed", "provenance", subject, *words])


def test_what_is_proven(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The verdict is one line of JSON: who, what about, when."""
    assert _run(tmp_path, f"sha256:{ARTEFACT}", predicate=SLSA[0]) == 0
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["predicate"] == SLSA[0]
    assert verdict["identity"].endswith("release.yml@refs/tags/v0.0.19")


def test_a_file_that_it_is_not_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not proven is 3, with the reason on both channels."""
    (tmp_path / "file").write_bytes(b"other bytes")
    assert _run(tmp_path, str(tmp_path / "file")) == 3
    told = capsys.readouterr()
    assert json.loads(told.out)["reason"] == "another artefact"
    assert told.err.startswith("answerable: not proven: provenance another artefact")


@pytest.mark.parametrize(
    ("subject", "options", "code", "said"),
    [
        ("nowhere", {}, 2, "cannot read `nowhere`"),
        ("sha256:" + "0" * 64, {"sha256": "0" * 64}, 1, "forged"),
    ],
)
def test_what_cannot_be_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], subject: str, options: dict[str, str],
    code: int, said: str,
) -> None:  # fmt: skip
    """A missing file is wrong usage; a trust root that was swapped is a failure."""
    assert _run(tmp_path, subject, **options) == code
    assert said in capsys.readouterr().err
