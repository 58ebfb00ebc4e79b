"""`answerable exposure model`: from a world to a release that two people sign."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from answerable.cli.main import main
from answerable.feeds.rows import Row
from answerable.feeds.world import Worlds
from answerable.kernel.checkpoint import parse_checkpoint
from answerable.kernel.merkle import leaf_hash
from tests.exposure.models import CVSS, MODEL, golden
from tests.feeds.worlds import CRITICAL, MEDIUM, NOON, claim, document, given
from tests.simulator import Simulator

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Lay out two models, a golden set and a charter."""
    turned = replace(CVSS, scores=tuple(-score for score in CVSS.scores))
    (tmp_path / "model").write_text(MODEL.text)
    (tmp_path / "turned").write_text(replace(MODEL, terms=(turned, *MODEL.terms[1:])).text)
    (tmp_path / "golden").write_text(golden().text)
    (tmp_path / "charter.note").write_bytes(Simulator().history[0][1])
    return tmp_path


def run(capfd: Capture, *words: object) -> tuple[int, str, str]:
    """Run a command."""
    code = main(["exposure", "model", *(str(word) for word in words)])
    told = capfd.readouterr()
    return code, told.out, told.err


def test_the_gate_is_quiet_or_asks_for_two_people(place: Path, capfd: Capture) -> None:
    """The same model passes; one whose order is turned round ends with 3 and says why."""
    asked = ("--golden", place / "golden", "--serving", place / "model")
    assert run(capfd, "compare", place / "model", *asked)[0] == 0
    code, out, err = run(capfd, "compare", place / "turned", *asked, "--output", "json")
    assert code == 3
    assert json.loads(out)[0]["correlation"] < 0.945
    assert "two people must look: the order moved" in err


def test_a_release_is_drafted_for_people_to_sign(place: Path, capfd: Capture) -> None:
    """The text names the model's file by hash, and its root is that of the very bytes."""
    words = ("--golden", place / "golden", "--charter", place / "charter.note")
    code, out, err = run(capfd, "draft", place / "model", *words)
    assert code == 0
    body = json.loads(out)["body"]
    assert body["model"] == MODEL.sha256
    assert body["feed"] == "ranking-model"
    assert parse_checkpoint(body["checkpoint"].encode()).root == leaf_hash(MODEL.text.encode())
    assert "ssh-keygen -Y sign" in err
    assert "no model in service" in err


def test_a_file_that_is_no_model_is_refused(place: Path, capfd: Capture) -> None:
    """A swapped or damaged file ends with 3."""
    (place / "bad").write_text(MODEL.text.replace("-5000000", "-5000000.5"))
    code, _, err = run(capfd, "compare", place / "bad", "--golden", place / "golden")
    assert code == 3
    assert "refused: malformed" in err


def _world(home: Path) -> None:
    rows: list[Row] = []
    for n in range(240):
        cve, grave = f"CVE-2025-{n + 1000}", n % 4 == 0
        rows += [claim(channel, cve, "cvss", CRITICAL if grave else MEDIUM)
                 for channel in ("nvd", "vulnrichment")]  # fmt: skip
        rows += [claim("vulnrichment", cve, "published", str(NOON - 400 * 86_400 + n * 3_600)),
                 claim("vulnrichment", cve, "cna", "acme" if grave else "mitre")]  # fmt: skip
        if n % 8 == 0:
            for channel in ("kev", "vulnrichment"):
                rows += [claim(channel, cve, "exploited", "yes"),
                         claim(channel, cve, "kev_added", str(NOON - 300 * 86_400))]  # fmt: skip
    Worlds(home).build(given(document("d", rows)), NOON + 60)


def test_a_model_is_trained_from_a_world(tmp_path: Path, capfd: Capture) -> None:
    """A golden set, a model, its manifest; the price of privacy is printed beside it."""
    pytest.importorskip("interpret", reason="the extra `train` is absent")
    _world(tmp_path / "worlds")
    worlds = ("--worlds", tmp_path / "worlds")
    code, _, err = run(
        capfd, "golden", *worlds, "--since", "2025-01-01", "--until", "2026-11-01",
        "--out", tmp_path / "golden",
    )  # fmt: skip
    assert code == 0
    assert "240 flaws, 30 of them exploited" in err
    code, out, err = run(
        capfd, "train", *worlds, "--as-of", "2026-11-22", "--out", tmp_path / "models",
        "--golden", tmp_path / "golden", "--epsilon", "4", "--bags", "1",
    )  # fmt: skip
    assert code == 0, err
    name = out.strip()
    assert (tmp_path / "models" / name).is_file()
    assert "this model: auc" in err
    assert "without: auc" in err
    assert "it stops no poisoning" in err
    manifest = json.loads((tmp_path / "models" / err.split("manifest ")[1][:64]).read_text())
    assert manifest["examples"] == {**manifest["examples"], "rows": 240, "listed": 30}
    assert manifest["data"][-1]["name"] == "world"
    golden_file, trained = tmp_path / "golden", tmp_path / "models" / name
    assert run(capfd, "compare", trained, "--golden", golden_file, "--serving", trained)[0] == 0
