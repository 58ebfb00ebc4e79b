"""Check words tell two texts apart, and are the same wherever the bytes are."""

from hypothesis import given
from hypothesis import strategies as st

from answerable.notice.words import COUNT, WORDS, check_words


def test_list_is_one_byte_wide_and_told_apart_by_ear() -> None:
    """256 words, all different, also in their first four letters or their length."""
    assert len(WORDS) == len(set(WORDS)) == 256
    assert all(word.isascii() and word.isalpha() and word.islower() for word in WORDS)
    assert list(WORDS) == sorted(WORDS)


def test_known_words() -> None:
    """The words of one hash, for other implementations."""
    assert check_words("00ff7f80" + "12" * 28) == " ".join(
        WORDS[n] for n in (0, 255, 127, 128, 18, 18)
    )
    assert check_words("00" * 32) == "acid acid acid acid acid acid"


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_other_bytes_have_other_words(one: bytes, other: bytes) -> None:
    """Words are equal exactly if the first six bytes are."""
    same = check_words(one.hex()) == check_words(other.hex())
    assert same == (one[:COUNT] == other[:COUNT])
