"""CSAF documents in the forms of Red Hat and SUSE."""

import json
from pathlib import Path
from typing import Any

import pytest

from answerable.feeds.publication import time_of
from answerable.feeds.publications.csaf import DEPTH, Csaf
from answerable.feeds.source import State, Unusable
from tests.feeds.documents.test_unpacked import tarred
from tests.feeds.samples import (
    REDHAT,
    REDHAT_FLAW,
    REDHAT_TREE,
    SUSE,
    VECTOR,
    claims,
    csaf,
    ranges,
    read,
)

ADAPTER = Csaf("csaf/redhat", "changes.csv")
Json = Any


def _said(data: bytes, folder: Path) -> set[tuple[str, str, str, str, str]]:
    rows, _ = read(ADAPTER, data, folder)
    return {(r.ecosystem, r.package, r.level, r.status, r.fixed) for r in ranges(rows)}


def test_red_hat_s_products_become_packages_of_releases(tmp_path: Path) -> None:
    """Platforms by CPE, packages by purl, modules through their platform, others left out."""
    assert _said(REDHAT, tmp_path) == {
        ("redhat:9", "curl", "binary", "affected", "1:7.76.1-29.el9"),
        ("redhat:9", "pg", "binary", "affected", "1.4-1.el9"),
        ("redhat:8", "curl", "source", "affected", ""),
    }


def test_suse_s_names_without_purls_are_read(tmp_path: Path) -> None:
    """A name alone stays whole, with its dashes; only where a version is said is one taken off."""
    assert _said(SUSE, tmp_path) == {
        ("sles:15.5", "libopenssl1_1", "binary", "affected", "1.1.1l-150500.15.4"),
        ("sles:15.5", "libopenssl-1_0_0-devel", "binary", "affected", ""),
        ("sles:15.5", "openssl-3", "binary", "not_affected", ""),
    }


def test_a_flaw_s_own_words_and_score_are_said(tmp_path: Path) -> None:
    """Title, weakness, vector and date, with the time of the document's edition."""
    rows, published = read(ADAPTER, REDHAT, tmp_path)
    assert published == time_of("2026-11-19T15:14:45Z")
    assert (claims(rows, "cvss"), claims(rows, "cwe")) == ([VECTOR], ["CWE-79"])
    assert claims(rows, "title") == ["curl: it falls"]
    assert {r.urgency for r in ranges(rows)} == {"high"}


def test_a_package_with_a_fix_is_not_endless_as_well(tmp_path: Path) -> None:
    """Named as affected and as fixed, a package is affected up to the fix."""
    status = {"known_affected": ["BaseOS-9.4:curl"], "fixed": ["BaseOS-9.4:curl-0:8-1.el9.x86_64"]}
    flaw = {"cve": "CVE-2024-0001", "product_status": status}
    tree = {"branches": REDHAT_TREE["branches"][0]["branches"][:1]}
    assert _said(csaf(tree, flaw), tmp_path) == {
        ("redhat:9", "curl", "binary", "affected", "8-1.el9")
    }


def _product(name: str, **helper: str) -> Json:
    return {"category": "product_version", "name": name,
            "product": {"name": name, "product_id": name,
                        "product_identification_helper": helper}}  # fmt: skip


def _pair(part: str, platform: str) -> Json:
    return {"category": "default_component_of", "product_reference": part,
            "relates_to_product_reference": platform,
            "full_product_name": {"name": part, "product_id": f"{platform}:{part}"}}  # fmt: skip


RHEL = _product("rhel_8", cpe="cpe:/o:redhat:enterprise_linux:8")
STREAMS = {
    "branches": [
        RHEL, _product("nodejs-18.19.1-1.el8.x86_64", purl="pkg:rpm/redhat/nodejs@18.19.1-1.el8"),
        _product("nodejs:20/nodejs", purl="pkg:rpmmod/redhat/nodejs:20/nodejs"),
        _product("nodejs:16/nodejs", purl="pkg:rpmmod/redhat/nodejs%3A16/nodejs"),
        _product("gimp:flatpak/nodejs", purl="pkg:rpmmod/redhat/gimp:flatpak/nodejs"),
    ],
    "relationships": [
        _pair("nodejs-18.19.1-1.el8.x86_64", "rhel_8"), _pair("nodejs:20/nodejs", "rhel_8"),
        _pair("nodejs:16/nodejs", "rhel_8"), _pair("gimp:flatpak/nodejs", "rhel_8"),
    ],
}  # fmt: skip


def test_a_stream_without_a_fix_is_not_mended_by_another_one_s(tmp_path: Path) -> None:
    """Stream 20 stays open though stream 18 has its fix; a flatpak is none of the host's."""
    status = {
        "fixed": ["rhel_8:nodejs-18.19.1-1.el8.x86_64"],
        "known_affected": ["rhel_8:nodejs:20/nodejs", "rhel_8:gimp:flatpak/nodejs"],
    }
    flaw = {"cve": "CVE-2024-0001", "product_status": status}
    assert _said(csaf(STREAMS, flaw), tmp_path) == {
        ("redhat:8", "nodejs", "binary", "affected", "18.19.1-1.el8"),
        ("redhat:8", "nodejs", "source", "affected", ""),
    }


@pytest.mark.parametrize("state", ["fixed", "known_affected", "under_investigation"])
def test_a_stream_that_is_not_affected_clears_no_other_one(state: str, tmp_path: Path) -> None:
    """A host may have either, so what one product denies while another one does not, stands."""
    product = {"fixed": "rhel_8:nodejs-18.19.1-1.el8.x86_64"}.get(state, "rhel_8:nodejs:20/nodejs")
    status = {state: [product], "known_not_affected": ["rhel_8:nodejs:16/nodejs"]}
    flaw = {"cve": "CVE-2024-0001", "product_status": status}
    assert all(row[3] == "affected" for row in _said(csaf(STREAMS, flaw), tmp_path))
    alone = {**flaw, "product_status": {"known_not_affected": ["rhel_8:nodejs:16/nodejs"]}}
    assert _said(csaf(STREAMS, alone), tmp_path) == {
        ("redhat:8", "nodejs", "source", "not_affected", "")
    }


@pytest.mark.parametrize(
    ("cpe", "ours"),
    [("cpe:/o:suse:sles:12:sp5", "sles:12.5"), ("cpe:/o:suse:sles-ltss:15", "sles:15.0"),
     ("cpe:/o:suse:suse_sles_ltss:11:sp4", "sles:11.4"), ("cpe:/o:suse:sled:15:sp5", "sles:15.5"),
     ("cpe:/o:suse:sle-module-python3:15:sp5", "sles:15.5"),
     ("cpe:/o:suse:sle_hpc-espos:15:sp3", "sles:15.3"), ("cpe:/o:suse:sle-sdk:12:sp5", "sles:12.5"),
     ("cpe:/o:suse:packagehub:12", "sles:12.0"), ("cpe:/o:suse:sle-micro:5.3", "sles:5.3"),
     ("cpe:/o:suse:suse-microos:5.2", "sles:5.2"), ("cpe:/o:suse:sl-micro:6.0", "sles:6.0"),
     ("cpe:/o:opensuse:leap:15.5", "opensuse-leap:15.5"),
     ("cpe:/o:opensuse:tumbleweed", "opensuse-tumbleweed:rolling"),
     ("cpe:/o:suse:suse-manager-server:4.2", ""), ("cpe:/o:suse:caasp:4.0", "")],
)  # fmt: skip
def test_platforms_are_named_as_their_hosts_name_them(cpe: str, ours: str, tmp_path: Path) -> None:
    """Modules, kits and paid-for support of a service pack are that service pack to a host."""
    tree = {"branches": [_product("it", cpe=cpe)]}
    flaw = {
        "cve": "CVE-2024-0001",
        "title": "x",
        "product_status": {"fixed": ["it:a-b-1-2.3.i586"]},
    }
    expected = {(ours, "a-b", "binary", "affected", "1-2.3")} if ours else set()
    assert _said(csaf(tree, flaw), tmp_path) == expected


def test_out_of_support_is_its_own_state(tmp_path: Path) -> None:
    """What nobody will mend any more is not silently affected, and not silently fine."""
    remedy = {"category": "no_fix_planned", "details": "Out of support scope",
              "product_ids": ["rhel_8:curl"]}  # fmt: skip
    flaw = {**REDHAT_FLAW, "remediations": [remedy]}
    assert ("redhat:8", "curl", "source", "end_of_life", "") in _said(
        csaf(REDHAT_TREE, flaw), tmp_path
    )


def test_under_investigation_is_silence(tmp_path: Path) -> None:
    """Nobody said yes, nobody said no."""
    flaw = {**REDHAT_FLAW, "product_status": {"under_investigation": ["rhel_8:curl"]}}
    assert _said(csaf(REDHAT_TREE, flaw), tmp_path) == set()


def test_a_withdrawn_document_is_marked(tmp_path: Path) -> None:
    """Its ranges are taken back, and it makes no claim."""
    rows, _ = read(ADAPTER, csaf(REDHAT_TREE, REDHAT_FLAW, category="csaf_withdrawn"), tmp_path)
    assert len(rows) == len(ranges(rows)) > 0
    assert all(row.withdrawn for row in ranges(rows))


def test_a_document_without_a_flaw_is_one_only_if_it_says_so(tmp_path: Path) -> None:
    """An informational advisory has none; a VEX document without one lost it."""
    assert read(ADAPTER, csaf({}, category="csaf_informational_advisory"), tmp_path)[0] == []
    with pytest.raises(Unusable) as failure:
        read(ADAPTER, csaf({}), tmp_path)
    assert failure.value.state is State.EMPTY


def test_an_archive_of_documents_is_read(tmp_path: Path) -> None:
    """As Red Hat packs all of its documents into one."""
    rows, _ = read(ADAPTER, tarred({"2024/a.json": REDHAT, "2024/b.json": SUSE}), tmp_path)
    assert len(ranges(rows)) == 6


def test_a_deep_or_circular_tree_is_given_up(tmp_path: Path) -> None:
    """Neither branches without end nor products that are part of each other hang us."""
    branch: Json = {}
    for _ in range(DEPTH + 1):
        branch = {"branches": [branch]}
    with pytest.raises(Unusable) as failure:
        read(ADAPTER, csaf({"branches": [branch]}, REDHAT_FLAW), tmp_path)
    assert failure.value.state is State.MALFORMED
    pair = {"product_reference": "a", "relates_to_product_reference": "a:a",
            "full_product_name": {"product_id": "a:a"}}  # fmt: skip
    flaw = {**REDHAT_FLAW, "product_status": {"known_affected": ["a:a"]}}
    assert _said(csaf({"relationships": [pair]}, flaw), tmp_path) == set()


def test_indexes_of_both_forms_are_read(tmp_path: Path) -> None:
    """`changes.csv` says when each document changed, `index.txt` only names them."""
    index = tmp_path / "index"
    index.write_text('"2024/cve-1.json","2026-11-20T00:00:00Z"\n"2023/a.json","2024-01-01"\n')
    listing = ADAPTER.listing(index, "here")
    assert [(d.path, d.stamp) for d in listing.documents] == [
        ("2024/cve-1.json", "2026-11-20T00:00:00Z"), ("2023/a.json", "2024-01-01")]  # fmt: skip
    assert listing.published == time_of("2026-11-20")
    index.write_text("2024/cve-1.json\n2024/cve-2.json\n")
    assert [d.path for d in ADAPTER.listing(index, "here").documents] == [
        "2024/cve-1.json", "2024/cve-2.json"]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "state"),
    [("", State.EMPTY), ("\n\n", State.EMPTY), ("../../x.json\n", State.MALFORMED),
     ("/x.json\n", State.MALFORMED), ("x.html\n", State.MALFORMED), ("\x00\n", State.MALFORMED),
     ("x.json," + "a" * 999, State.MALFORMED), ("https://evil.example/x.json", State.MALFORMED)],
)  # fmt: skip
def test_an_index_leads_nowhere_else(text: str, state: State, tmp_path: Path) -> None:
    """A path that leaves the publisher's place is no path of a document."""
    index = tmp_path / "index"
    index.write_text(text)
    with pytest.raises(Unusable) as failure:
        ADAPTER.listing(index, "here")
    assert failure.value.state is state


@pytest.mark.parametrize("change", [{"document": 7}, {"product_tree": 7}, {"vulnerabilities": 7}])
def test_another_form_is_malformed(change: Json, tmp_path: Path) -> None:
    """A document that cannot be taken apart is refused whole."""
    with pytest.raises(Unusable) as failure:
        read(ADAPTER, json.dumps({**json.loads(REDHAT), **change}).encode(), tmp_path)
    assert failure.value.state is State.MALFORMED
