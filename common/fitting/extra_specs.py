"""Extra specs that are wrong for every host: found out before a host is looked for."""

import re

from kilonova.common import exception
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.image import Image

RESOURCES = re.compile(r'resources[a-zA-Z0-9_-]{0,64}:([A-Z0-9_]+)')
TRAIT = re.compile(r'trait([a-zA-Z0-9_-]{0,64}):([A-Z0-9_]+)')
NEEDS = ('required', 'forbidden', 'preferred')


def check(flavor: Flavor, image: Image) -> None:
    """Raise InvalidExtraSpec for what is malformed, or contradicts the image."""
    for key, value in flavor.extra_specs.items():
        if RESOURCES.fullmatch(key) and not re.fullmatch(r'\d+', value):
            raise _wrong(key, value, 'it is no amount')
        if TRAIT.fullmatch(key) and value not in NEEDS:
            raise _wrong(key, value, f'it is one of {", ".join(NEEDS)}')
        if key == 'group_policy' and value not in ('none', 'isolate'):
            raise _wrong(key, value, 'it is one of none, isolate')
        if value == 'forbidden' and image.properties.get(key) == 'required':
            raise _wrong(key, value, 'the image requires it')
        if value == 'required' and image.properties.get(key) == 'forbidden':
            raise _wrong(key, value, 'the image forbids it')


def _wrong(key: str, value: str, reason: str) -> exception.InvalidExtraSpec:
    return exception.InvalidExtraSpec(key=key, value=value, reason=reason)
