"""API microversions: the list, and what a request asks for."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from kilonova.api import faults


class Version(NamedTuple):
    """A microversion; compares with other versions and with plain ``(major, minor)`` pairs."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f'{self.major}.{self.minor}'


_FORM = re.compile(r'([1-9]\d{0,8})\.(0|[1-9]\d{0,8})')


def parse(text: str) -> Version:
    """Read ``2.53``.  Raises ValueError."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return Version(int(match[1]), int(match[2]))


MIN = Version(2, 1)
MAX = Version(2, 104)
LEGACY = Version(2, 0)
"""What schemas of ``/v2`` are declared for; its requests otherwise behave as 2.1."""


def before(version: Version) -> Version:
    """Return the version just before one."""
    return Version(version.major, version.minor - 1)


HEADER = 'OpenStack-API-Version'
OLD_HEADER = 'X-OpenStack-Nova-API-Version'
SERVICE = 'compute'


def requested(headers: Mapping[str, str]) -> str | None:
    """Return what the headers say, unchecked; the newer header wins."""
    for entry in reversed(headers.get(HEADER, '').split(',')):
        words = entry.split()
        if len(words) == 2 and words[0].lower() == SERVICE:
            return words[1]
    text = headers.get(OLD_HEADER)
    return text.strip() if text is not None else None


def negotiate(headers: Mapping[str, str]) -> Version:
    """Return the version to answer with.  Raises a 400 or a 406 fault."""
    text = requested(headers)
    if text is None:
        return MIN
    if text.lower() == 'latest':
        return MAX
    try:
        version = parse(text)
    except ValueError:
        raise faults.Fault(
            400,
            f'API Version String {text} is of invalid format. Must be of format MajorNum.MinorNum.',
        ) from None
    if not MIN <= version <= MAX:
        raise faults.Fault(
            406,
            f'Version {text} is not supported by the API. Minimum is {MIN} and maximum is {MAX}.',
        )
    return version


def response_headers(version: Version) -> list[tuple[str, str]]:
    """Return the headers that tell the client (and caches) which version it got."""
    return [
        (HEADER, f'{SERVICE} {version}'),
        (OLD_HEADER, str(version)),
        ('Vary', HEADER),
        ('Vary', OLD_HEADER),
    ]
