"""Real bundles of real publishers are believed for what they say, and for nothing else."""

import base64
import copy
import hashlib
import importlib.resources
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.feeds import provenance
from answerable.feeds.proven import PUBLISH, SLSA, Expected, Proven, Unproven
from answerable.feeds.provenance import BUNDLES, NoSigstore, Sigstore
from answerable.feeds.source import State, Unusable
from answerable.kernel.canon import Json
from tests.kernel.near import near_bytes

FOLDER = Path(__file__).with_name("bundles")
ACTIONS = "https://token.actions.githubusercontent.com"
WORKFLOW = "https://github.com/trailofbits/pypi-attestations/.github/workflows/release.yml"
ARTEFACT = "9bb1add04b1b4e182be6b0b80931593f7a291eb49d69b4fd728a5d4cbcdc4bd3"
MODELS = "c9709ce6fd5b67b59b4a28758cf14d3f411803c4b89b6068b1f1a8e4ee94c8ef"
EXPECTED = Expected(ACTIONS, f"{WORKFLOW}@refs/tags/*")
REAL = {
    "github.provenance": (ARTEFACT, EXPECTED, PUBLISH),
    "github.slsa.attestation": (ARTEFACT, EXPECTED, SLSA[0]),
    "github.sigstore": (
        MODELS,
        Expected(
            ACTIONS,
            "https://github.com/trailofbits/pypi-attestation-models/.github/workflows/release.yml"
            "@refs/tags/v0.0.4a2",
        ),
        PUBLISH,
    ),
    "gitlab.attestation": (
        "c1ca9b0d85df1606451098233018534497bf584362e10e4a8c21dfaea92c02a8",
        Expected(
            "https://gitlab.com",
            "https://gitlab.com/facutuesca/gitlab-oidc-project//.gitlab-ci.yml@refs/heads/main",
        ),
        PUBLISH,
    ),
    "google.provenance": (
        "461317362419124b6012e855423a9078d6de8aed3e74fa78cc74d669b23dc6cf",
        Expected(
            "https://accounts.google.com", "919436158236-compute@developer.gserviceaccount.com"
        ),
        PUBLISH,
    ),
}


def root(instance: str = "store") -> bytes:
    """Give a trust root of the public Sigstore (`store`, `stage`), as the library ships it."""
    store = importlib.resources.files("sigstore") / "_store"
    name = f"https%3A%2F%2Ftuf-repo-cdn.sig{instance}.dev"
    return (store / name / "trusted_root.json").read_bytes()


@cache
def judge(instance: str = "store") -> Sigstore:
    """Give a judge over it."""
    return Sigstore(root(instance), hashlib.sha256(root(instance)).hexdigest())


def real(name: str) -> bytes:
    """Give one of the files."""
    return (FOLDER / name).read_bytes()


def _reason(document: bytes, sha256: str = ARTEFACT, expected: Expected = EXPECTED) -> str:
    verdict = judge().check(document, sha256, expected)
    assert isinstance(verdict, Unproven), verdict
    return verdict.reason


@pytest.mark.parametrize("name", REAL)
def test_real_bundles(name: str) -> None:
    """GitHub, GitLab and Google identities; three forms of document; two predicates."""
    sha256, expected, predicate = REAL[name]
    verdict = judge().check(real(name), sha256, expected)
    assert isinstance(verdict, Proven), verdict
    assert verdict.predicate == predicate
    assert expected.names(verdict.identity)
    assert 1_700_000_000 < verdict.issued < 1_800_000_000


@pytest.mark.parametrize("name", REAL)
def test_another_artefact(name: str) -> None:
    """A good bundle laid beside other bytes proves nothing about them."""
    _, expected, _ = REAL[name]
    assert _reason(real(name), "0" * 64, expected) == "another artefact"


def test_another_trust_root() -> None:
    """What another instance of Sigstore vouches for is refused, whoever it says it is."""
    sha256 = "c4e92e9ecc828bef2aa7dba1de8ac983511f7532a0df11c770d39099a25cf201"
    expected = Expected("https://github.com/login/oauth", "william@yossarian.net")
    assert _reason(real("staging.sigstore"), sha256, expected) == "refused"
    verdict = judge("stage").check(real("staging.sigstore"), sha256, expected)
    assert isinstance(verdict, Proven), verdict


def test_a_bare_signature() -> None:
    """It is over the bytes themselves, so it says nothing where a statement is asked for."""
    bundle = _decoded()
    signature = bundle.pop("dsseEnvelope")["signatures"][0]["sig"]
    digest = base64.b64encode(bytes.fromhex(MODELS)).decode()
    bundle["messageSignature"] = {
        "messageDigest": {"algorithm": "SHA2_256", "digest": digest},
        "signature": signature,
    }
    document, expected = json.dumps(bundle).encode(), REAL["github.sigstore"][1]
    assert _reason(document, MODELS, expected) == "refused", (
        "a statement's signature is no bare one"
    )
    built = Expected(expected.issuer, expected.identity, SLSA)
    assert _reason(document, MODELS, built) == "unexpected"


@pytest.mark.parametrize(
    "expected",
    [
        Expected("https://gitlab.com", f"{WORKFLOW}@refs/tags/*"),
        Expected(ACTIONS, f"{WORKFLOW}@refs/heads/*"),
        Expected(ACTIONS, f"{WORKFLOW}@refs/tags/v0.0.18"),
        Expected(ACTIONS, WORKFLOW),
        Expected(ACTIONS, "https://github.com/mallory/pypi-attestations/*"),
        Expected(ACTIONS, "*"),
    ],
)
def test_another_identity(expected: Expected) -> None:
    """Another issuer, workflow, branch or tag; and no pattern but the one that is allowed."""
    assert _reason(real("github.provenance"), expected=expected) == "refused"


def test_another_predicate() -> None:
    """Who wants to know how it was built is not told that it was published."""
    built = Expected(ACTIONS, EXPECTED.identity, SLSA)
    assert _reason(real("github.provenance"), expected=built) == "unexpected"
    assert isinstance(judge().check(real("github.slsa.attestation"), ARTEFACT, built), Proven)


def _decoded() -> Json:
    return json.loads(real("github.sigstore"))


def _flipped(text: str) -> str:
    data = bytearray(base64.b64decode(text))
    data[len(data) // 2] ^= 1
    return base64.b64encode(data).decode()


def _statement(bundle: Json) -> None:
    envelope = bundle["dsseEnvelope"]
    said = base64.b64decode(envelope["payload"]).replace(MODELS.encode(), ARTEFACT.encode())
    envelope["payload"] = base64.b64encode(said).decode()


def _signature(bundle: Json) -> None:
    signature = bundle["dsseEnvelope"]["signatures"][0]
    signature["sig"] = _flipped(signature["sig"])


def _certificate(bundle: Json) -> None:
    certificate = bundle["verificationMaterial"]["certificate"]
    certificate["rawBytes"] = _flipped(certificate["rawBytes"])


def _time(bundle: Json) -> None:
    bundle["verificationMaterial"]["tlogEntries"][0]["integratedTime"] = "1900000000"


def _promise(bundle: Json) -> None:
    del bundle["verificationMaterial"]["tlogEntries"][0]["inclusionPromise"]


def _proof(bundle: Json) -> None:
    proof = bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]
    proof["rootHash"] = _flipped(proof["rootHash"])


def _log(bundle: Json) -> None:
    bundle["verificationMaterial"]["tlogEntries"] = []


def _others_certificate(bundle: Json) -> None:
    other = json.loads(real("github.slsa.attestation"))["verification_material"]["certificate"]
    bundle["verificationMaterial"]["certificate"]["rawBytes"] = other


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        (_statement, {"refused"}),
        (_signature, {"refused"}),
        (_certificate, {"refused", "malformed"}),
        (_time, {"refused"}),
        (_promise, {"malformed"}),
        (_proof, {"refused"}),
        (_log, {"malformed"}),
        (_others_certificate, {"refused"}),
    ],
)
def test_a_bundle_that_was_tampered_with(change: Callable[[Json], None], reasons: set[str]) -> None:
    """Statement, signature, certificate, time, inclusion: none can be another."""
    bundle = copy.deepcopy(_decoded())
    change(bundle)
    sha256, expected, _ = REAL["github.sigstore"]
    for about in (sha256, ARTEFACT):
        assert _reason(json.dumps(bundle).encode(), about, expected) in reasons


def test_several_bundles_of_one_artefact() -> None:
    """One that convinces is enough: in lines, in npm's list, in PEP 740's object."""
    sha256, expected, _ = REAL["github.sigstore"]
    good, bad = _decoded(), _decoded()
    _signature(bad)
    lines = b"\n".join(json.dumps(each).encode() for each in (bad, good))
    listed = json.dumps({"attestations": [{"bundle": bad}, {"bundle": good}]}).encode()
    for document in (lines, listed):
        assert isinstance(judge().check(document, sha256, expected), Proven)
    many = b"\n".join([json.dumps(bad).encode()] * BUNDLES + [json.dumps(good).encode()])
    assert _reason(many, sha256, expected) == "malformed"


@pytest.mark.parametrize(
    "document",
    [b"", b"{}", b"[]", b"null", b"7", b'"x"', b"\xff", b"{" * 9, b"[" * 100_000,
     b'{"mediaType":7}', b'{"attestation_bundles":[{}]}', b'{"attestations":[]}',
     b'{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}'],
)  # fmt: skip
def test_what_is_no_document(document: bytes) -> None:
    """A page of an airport's network, an empty object, a bomb of brackets."""
    assert _reason(document) == "malformed"


def test_the_trust_root_is_pinned() -> None:
    """A trust root that is another one, or none, makes no judge."""
    for data, sha256, state in (
        (root(), "0" * 64, State.FORGED),
        (b"{}", hashlib.sha256(b"{}").hexdigest(), State.MALFORMED),
        (b" " * (provenance.ROOT + 1), "0" * 64, State.OVERSIZED),
    ):
        with pytest.raises(Unusable) as caught:
            Sigstore(data, sha256)
        assert caught.value.state == state


def test_without_the_extra_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install is named; nothing passes for verified."""
    monkeypatch.setattr(provenance, "_MISSING", ImportError("no"))
    with pytest.raises(NoSigstore, match=r"answerable\[provenance\]"):
        Sigstore(root(), hashlib.sha256(root()).hexdigest())


@pytest.mark.fuzz
@given(near_bytes(*(real(name) for name in REAL)) | st.binary(max_size=300))
def test_any_bytes_are_judged(data: bytes) -> None:
    """Untrusted bytes end in a verdict, whatever they are."""
    verdict = judge().check(data, ARTEFACT, EXPECTED)
    assert isinstance(verdict, Proven | Unproven)
