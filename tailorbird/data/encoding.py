"""Which encoding a file of text is in: marks first, then what is obvious, then what can be."""

from __future__ import annotations

import codecs
import re

# The mark of UTF-32 begins with that of UTF-16, so it is asked first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8 with a byte-order mark"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
_SAMPLE_BYTES = 1 << 16
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")  # tab, line ends and escape do occur in texts
_C1 = re.compile(rb"[\x80-\x9f]")  # controls in Latin-1, curly quotes and dashes in Windows-1252


def decode(content: bytes) -> tuple[str, str]:
    """The text and the name of its encoding, as a person says it. Raises ValueError for what is no text."""
    for mark, codec, name in _MARKS:
        if content.startswith(mark):
            return content.decode(codec), name
    if unmarked := _unmarked_utf16(content[:_SAMPLE_BYTES]):
        return content.decode(unmarked), "UTF-16 without a byte-order mark"
    if _binary(content[:_SAMPLE_BYTES]):
        raise ValueError("it holds binary data")
    return _eight_bits(content)


def _unmarked_utf16(sample: bytes) -> str | None:
    """Mostly western text in UTF-16 has a zero in every second byte and hardly one in the others."""
    pairs = len(sample) // 2
    even, odd = sample[: 2 * pairs : 2].count(0), sample[1 : 2 * pairs : 2].count(0)
    if pairs >= 4 and odd > 0.4 * pairs and even < 0.02 * pairs:
        return "utf-16-le"
    if pairs >= 4 and even > 0.4 * pairs and odd < 0.02 * pairs:
        return "utf-16-be"
    return None


def _binary(sample: bytes) -> bool:
    """A zero byte, or one control character in a hundred: no text is like that."""
    return b"\0" in sample or len(_CONTROLS.findall(sample)) > len(sample) / 100


def _eight_bits(content: bytes) -> tuple[str, str]:
    try:
        return content.decode("utf-8"), "UTF-8"
    except UnicodeDecodeError:
        pass  # it is one of the encodings in which every byte is a letter
    if _C1.search(content):
        try:
            return content.decode("cp1252"), "Windows-1252"
        except UnicodeDecodeError:
            pass  # five bytes mean nothing in it; Latin-1 takes them all
    return content.decode("latin-1"), "Latin-1"
