"""What other programs made of a small tree of ours (samples/README.md), and what is in it."""

import lzma
from pathlib import Path

FOLDER = Path(__file__).parent / "samples"
DEBIAN = {
    ("debian:12", "dpkg", "1.21.22", "amd64", "dpkg", ""),
    ("debian:12", "libc6", "2.36-9+deb12u9", "amd64", "glibc", ""),
    ("debian:12", "libgcc-s1", "12.2.0-14", "amd64", "gcc-12", ""),
    ("debian:12", "libssl3", "3.0.15-1~deb12u1", "amd64", "openssl", ""),
    ("debian:12", "passwd", "1:4.13+dfsg1-1+b1", "amd64", "shadow", "1:4.13+dfsg1-1"),
    ("debian:12", "tzdata", "2026a-0+deb12u1", "all", "tzdata", ""),
    ("pypi", "waitress", "2.1.2", "", "waitress", ""),
}
LOCKED = {
    ("go", "github.com/gin-gonic/gin", "1.9.1", "", "github.com/gin-gonic/gin", ""),
    ("go", "golang.org/x/crypto", "0.17.0", "", "golang.org/x/crypto", ""),
    ("npm", "@babel/core", "7.24.0", "", "@babel/core", ""),
    ("npm", "minimist", "1.2.5", "", "minimist", ""),
    ("npm", "web", "1.0.0", "", "web", ""),
}
"""What only syft lists: trivy leaves out lock files below a root."""
ALMA = {
    ("almalinux:9", "bash", "5.1.8-9.el9~rc1^git2", "noarch", "bash", ""),
    ("almalinux:9", "bash-libs", "5.1.8-9.el9~rc1^git2", "noarch", "bash", ""),
    ("almalinux:9", "openssl", "1:3.0.7-27.el9_4", "noarch", "openssl", ""),
    ("almalinux:9", "openssl-libs", "1:3.0.7-27.el9_4", "noarch", "openssl", ""),
}


def sample(name: str) -> bytes:
    """Give a sample's bytes, unpacked."""
    data = (FOLDER / name).read_bytes()
    return lzma.decompress(data) if name.endswith(".xz") else data
