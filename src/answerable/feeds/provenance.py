"""Check Sigstore bundles offline, against a trust root that a person pinned.

What is read: a Sigstore bundle (0.2, 0.3; 0.1 if its proof has a checkpoint), several of them one a
line, PEP 740's provenance and attestation objects, and npm's list of attestations. One that
convinces is enough. In order:

1. the document is one of these, and of limited size and number (`malformed`)
2. sigstore-python verifies the bundle: certificate chain at the time that a log or a timestamp
   authority gives, SCT, inclusion in the log, signature (`refused`)
3. the certificate names the expected issuer and identity (`refused`)
4. a statement is in-toto's, of a predicate that is asked for (`unexpected`), and one of its
   subjects has the artefact's SHA-256 (`another artefact`); a bare signature is over that SHA-256

Nothing is fetched: the trust root is the file whose SHA-256 the settings name, never a cache in
somebody's home. sigstore-python is the extra `provenance`; without it nothing is proven, and that
is said when a judge is made, not when an artefact comes.

Left out: refreshing the trust root (a person replaces file and hash), and the predicate's content:
its signer is the builder that is expected, and is believed in what it signs.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from tempfile import NamedTemporaryFile
from typing import Any

from cryptography.x509 import (
    Certificate,
    ExtensionNotFound,
    RFC822Name,
    SubjectAlternativeName,
    UniformResourceIdentifier,
)

from answerable.feeds.proven import PUBLISH, SLSA, Expected, Proven, Reason, Unproven, Verdict
from answerable.feeds.source import KIB, MIB, State, Unusable
from answerable.kernel.errors import Unavailable

try:
    from sigstore.errors import VerificationError
    from sigstore.hashes import HashAlgorithm, Hashed
    from sigstore.models import Bundle, TrustedRoot
    from sigstore.verify import Verifier, policy
except ImportError as error:
    _MISSING: ImportError | None = error
else:
    _MISSING = None

BUNDLES = 16
"""Most bundles of one document."""
ROOT = 1 * MIB
"""Largest trust root, bytes."""
STATEMENT = 512 * KIB
"""Largest statement, bytes."""
IN_TOTO = "application/vnd.in-toto+json"
STATEMENTS = ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1")
_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"


class NoSigstore(Unavailable):
    """The extra `provenance` is not installed."""


class _Bad(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.verdict = Unproven(reason, detail)


class _Identity:
    """sigstore's policy for an expected identity; keeps the name that it found."""

    def __init__(self, expected: Expected) -> None:
        self.expected = expected
        self.found = ""
        self._issuer = policy.AnyOf(
            [policy.OIDCIssuerV2(expected.issuer), policy.OIDCIssuer(expected.issuer)]
        )

    def verify(self, cert: Certificate) -> None:
        self._issuer.verify(cert)
        try:
            names = cert.extensions.get_extension_for_class(SubjectAlternativeName).value
        except ExtensionNotFound as error:
            raise VerificationError("the certificate names nobody") from error
        found = names.get_values_for_type(UniformResourceIdentifier)
        found += names.get_values_for_type(RFC822Name)
        if len(found) != 1 or not self.expected.names(found[0]):
            raise VerificationError(f"signed by {found}, not by {self.expected.identity}")
        self.found = found[0]


class Sigstore:
    """Judges documents against one trust root."""

    def __init__(self, root: bytes, sha256: str) -> None:
        """Take a trust root.

        Raises:
            NoSigstore: the extra is not installed.
            Unusable: `forged` if it is not the pinned one; `malformed`; `oversized`.
        """
        if _MISSING is not None:
            raise NoSigstore("provenance needs sigstore: install `answerable[provenance]`")
        if len(root) > ROOT:
            raise Unusable(State.OVERSIZED, "trust root", f"more than {ROOT} bytes")
        if hashlib.sha256(root).hexdigest() != sha256:
            raise Unusable(State.FORGED, "trust root", "not the one whose hash is in the settings")
        try:
            self._verifier = Verifier(trusted_root=_trusted(root))
        except Exception as error:  # its parsers raise what they like
            raise Unusable(State.MALFORMED, "trust root", f"{error!r:.200}") from error

    def check(self, document: bytes, sha256: str, expected: Expected) -> Verdict:
        """Judge a document about the artefact with this hash."""
        last = Unproven("malformed", "no bundle in it")
        try:
            for number, bundle in enumerate(bundles(document)):
                if number >= BUNDLES:
                    return Unproven("malformed", f"more than {BUNDLES} bundles")
                verdict = self._judge(bundle, sha256, expected)
                if isinstance(verdict, Proven):
                    return verdict
                last = verdict
        except _Bad as bad:
            return bad.verdict
        return last

    def _judge(self, given: Any, sha256: str, expected: Expected) -> Verdict:  # noqa: ANN401
        who = _Identity(expected)
        try:
            bundle = _bundle(given)
            predicate = ""
            if "dsseEnvelope" in given:
                predicate = _about(*self._signed(bundle, who), sha256, expected)
            else:
                self._bare(bundle, sha256, who)
            issued = int(bundle.signing_certificate.not_valid_before_utc.timestamp())
            return Proven(who.found, predicate, issued)
        except _Bad as bad:
            return bad.verdict

    def _signed(self, bundle: "Bundle", who: _Identity) -> tuple[str, bytes]:
        try:
            return self._verifier.verify_dsse(bundle, who)
        except Exception as error:  # pydantic, cryptography and sigstore each have their own
            raise _Bad("refused", f"{error}") from error

    def _bare(self, bundle: "Bundle", sha256: str, who: _Identity) -> None:
        if who.expected.predicates:
            raise _Bad("unexpected", "a bare signature, where a statement is asked for")
        hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=bytes.fromhex(sha256))
        try:
            self._verifier.verify_artifact(hashed, bundle, who)
        except Exception as error:
            raise _Bad("refused", f"{error}") from error


def _trusted(root: bytes) -> "TrustedRoot":
    with NamedTemporaryFile(prefix="trusted_root.") as file:  # the library reads files only
        file.write(root)
        file.flush()
        return TrustedRoot.from_file(file.name)


def _bundle(given: Any) -> "Bundle":  # noqa: ANN401  decoded JSON
    try:
        return Bundle.from_json(json.dumps(given))
    except Exception as error:  # as above
        raise _Bad("malformed", f"no Sigstore bundle: {error}") from error


def bundles(document: bytes) -> Iterator[Any]:
    """Give the bundles of a document, as decoded JSON; nothing of them is checked.

    Raises:
        _Bad: it is none of the known documents.
    """
    lines = [line for line in document.splitlines() if line.strip()]
    several = len(lines) > 1 and all(line.lstrip().startswith(b"{") for line in lines)
    for line in lines if several else [document]:
        try:
            yield from _inside(json.loads(line))
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
            raise _Bad("malformed", f"no document of provenance: {error!r}") from error


def _inside(value: Any) -> Sequence[Any]:  # noqa: ANN401  decoded JSON
    if "mediaType" in value:
        return [value]
    if "attestation_bundles" in value:  # PEP 740, provenance object
        found = [one for each in value["attestation_bundles"] for one in each["attestations"]]
        return [_attestation(one) for one in found]
    if "verification_material" in value:  # PEP 740, attestation object
        return [_attestation(value)]
    return [each["bundle"] for each in value["attestations"]]  # npm


def _attestation(value: Any) -> Any:  # noqa: ANN401  decoded JSON
    """Spell PEP 740's attestation as the Sigstore bundle that it was made of."""
    material, envelope = value["verification_material"], value["envelope"]
    return {
        "mediaType": _BUNDLE,
        "verificationMaterial": {
            "certificate": {"rawBytes": material["certificate"]},
            "tlogEntries": material["transparency_entries"],
        },
        "dsseEnvelope": {
            "payload": envelope["statement"],
            "payloadType": IN_TOTO,
            "signatures": [{"sig": envelope["signature"]}],
        },
    }


def _about(kind: str, payload: bytes, sha256: str, expected: Expected) -> str:
    """Give a verified statement's predicate, if it is about this artefact."""
    if kind != IN_TOTO or len(payload) > STATEMENT:
        raise _Bad("unexpected", f"`{kind}` of {len(payload)} bytes is no statement")
    try:
        value = json.loads(payload)
        predicate, subjects = value["predicateType"], value["subject"]
        hashes = {subject["digest"].get("sha256") for subject in subjects}
        known = value["_type"] in STATEMENTS and isinstance(predicate, str)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise _Bad("malformed", f"no in-toto statement: {error!r}") from error
    if not known or predicate not in (expected.predicates or (PUBLISH, *SLSA)):
        raise _Bad("unexpected", f"a statement about `{predicate}`")
    if sha256 not in hashes:
        raise _Bad("another artefact", f"it is about {len(hashes)} others")
    return str(predicate)
