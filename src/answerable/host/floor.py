"""What the agent cannot do without: ML-DSA-44, in a build that computes it right.

The distribution's own `cryptography` lacks it, and an agent that skipped a signature would believe
what others must prove: without it nothing is started. Nothing of the kernel is imported here, since
that would fail first, and less clearly.
"""

from hashlib import sha256

KNOWN = "eb4e7302842153b0fa19e8620739ad258af4929c26dd89079a7ec7d4282208e1"
"""SHA-256 of the ML-DSA-44 public key (FIPS 204) of 32 zero bytes as seed, hex."""


def missing() -> str:
    """Give nothing if all is there, else what is missing and what to do."""
    advice = "install the `cryptography` wheel, 50 or newer, or use the built artefact"
    try:
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415  tried here
        from cryptography.hazmat.primitives.asymmetric.mldsa import (  # noqa: PLC0415
            MLDSA44PrivateKey,
        )
    except ImportError as error:
        return f"no ML-DSA-44 on this host ({error}): {advice}"
    try:
        public = MLDSA44PrivateKey.from_seed_bytes(bytes(32)).public_key().public_bytes_raw()
    except UnsupportedAlgorithm as error:
        return f"no ML-DSA-44 on this host ({error}): {advice}"
    wrong = sha256(public).hexdigest() != KNOWN
    return f"ML-DSA-44 computes wrong keys on this host: {advice}" if wrong else ""
