"""Names that servers get: display names of a batch, host names, reservation ids."""

import re
import secrets
import string

HOSTNAME_LENGTH = 63
RESERVATION_LETTERS = string.ascii_lowercase + string.digits


def reservation_id() -> str:
    return 'r-' + ''.join(secrets.choice(RESERVATION_LETTERS) for _ in range(8))


def display_name(name: str, index: int, count: int) -> str:
    """Return the name of one server of a batch: ``name-1``, ``name-2`` …"""
    return name if count == 1 else f'{name}-{index + 1}'


def hostname(wanted: str, server_uuid: str) -> str:
    """Return a DNS label made of a display name; of the uuid when nothing of it is left."""
    label = wanted.encode('latin-1', 'ignore').decode('latin-1')
    label = re.sub(r'[\s_.]+', '-', label)
    label = re.sub(r'[^A-Za-z0-9-]+', '', label).lower()[:HOSTNAME_LENGTH].strip('-')
    return label or f'Server-{server_uuid}'
