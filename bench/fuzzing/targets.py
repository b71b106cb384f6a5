"""All targets by name."""

from collections.abc import Mapping

from fuzzing import application, files, peers, spoken
from fuzzing.laws import Target

MODULES = (peers, application, files, spoken)
TARGETS: Mapping[str, Target] = {target.name: target for module in MODULES for target in module.TARGETS}
"""Every parser that takes what somebody else wrote."""
HOMES: Mapping[str, str] = {target.name: module.__name__ for module in MODULES for target in module.TARGETS}
"""Which module a target is in: to instrument that one alone saves most of the time of a start."""

ODD: tuple[bytes, ...] = (
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-1",
    b"1e400",
    b"9" * 25,
    b"9" * 5_000,
    b'"' + b"9" * 5_000 + b'"',
    b'"\\ud800"',
    b'"\\u0000"',
    b"\\udfff",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xe2\x80\xa8",
    b"[" * 3_000,
    b'{"a":' * 3_000,
    b"null",
    b"true",
    b'""',
    b"[]",
    b"{}",
    b"0",
    b"0.1",
    b"\r",
    b"\n",
    b'"' + b"a" * 5_000 + b'"',
)
"""What parsers stumble over, in any language."""
