"""The password that a guest has made and encrypted for its owner, as system metadata keeps it.

It is kept in pieces that fit a metadata value of Nova's.
"""

from collections.abc import Mapping

KEYS = tuple(f'password_{number}' for number in range(4))
PIECE = 255
MOST = PIECE * len(KEYS)
"""Characters of the longest password."""


def read(system_metadata: Mapping[str, str]) -> str:
    """Return the password, empty if none."""
    return ''.join(system_metadata.get(key, '') for key in KEYS)


def write(system_metadata: Mapping[str, str], password: str) -> dict[str, str]:
    """Return the metadata with a password in place of the one that is there; '' for none."""
    kept = {key: value for key, value in system_metadata.items() if key not in KEYS}
    pieces = {key: password[PIECE * n : PIECE * (n + 1)] for n, key in enumerate(KEYS)}
    return kept | {key: piece for key, piece in pieces.items() if piece}
