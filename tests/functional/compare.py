"""Published examples against this cloud: fill in what is here, compare what comes back."""

import re
from typing import Any

from kilonova.tests.functional.routes import Things

Json = Any

# Their keys are the examples' own.
FREE = set(
    'metadata extra_specs addresses meta hosts log cpu_info properties scheduler_hints '
    'attachments'.split()
)
# The examples' image.
IMAGE = '70a599e0-31e7-49b7-b260-868f441e862b'
# They come where there is something to list, or one more page.
OPTIONAL = {'servers', 'server_usages', 'links'}
# Diagnostics up to 2.47 are named after devices.
DEVICE = re.compile(r'(vd[a-z]|vnet\d|tap[\w-]*)_')
# What Nova's own tests let pass.
WORDS = {'test-event': 'network-changed', 'fake_tenant': 'fake-tenant', 'lvm-1': 'lvm'}


def fill(body: Json, things: Things, words: dict[str, Any]) -> Json:
    """Return an example with the names and ids of what exists here."""
    known = {
        'imageRef': things.image,
        'flavorRef': things.flavor,
        'rescue_image_ref': things.image,
        'host': things.host,
        'hypervisor_hostname': things.host,
        'same_host': things.server,
        'group': things.server_group,
        'server_uuid': things.server,
        'availability_zone': 'nova',
        'net_id': things.network,
        # Key pairs are whoever's asks.
        'key_name': None,
        **words,
    }
    return _filled(body, known, things)


def _filled(value: Json, known: dict[str, Any], things: Things, inside: str = '') -> Json:
    if isinstance(value, list):
        return [_filled(one, known, things, inside) for one in value]
    if not isinstance(value, dict):
        if value == IMAGE:
            return things.image
        return things.network if inside == 'networks uuid' else WORDS.get(str(value), value)
    return {
        key: known[key]
        if key in known and not isinstance(inner, (dict, list))
        else _filled(inner, known, things, f'networks {key}' if inside == 'networks' else key)
        for key, inner in value.items()
    }


def check(found: Json, sample: Json) -> None:
    """Fail unless an answer is built as an example is."""
    assert differences(found, sample) == []


def differences(found: Json, sample: Json, where: str = '') -> list[str]:
    """Return what has other keys or types than the example; null fits any type."""
    if found is None or sample is None:
        return []
    if isinstance(sample, dict) and isinstance(found, dict):
        return _of_objects(found, sample, where)
    if isinstance(sample, list) and isinstance(found, list):
        return [
            text
            for number, one in enumerate(found)
            if sample
            for text in _of_element(one, sample, f'{where}[{number}]')
        ]
    if _kind(found) != _kind(sample):
        return [f'{where}: {_kind(found)} instead of {_kind(sample)}']
    return []


def _of_objects(found: Json, sample: Json, where: str) -> list[str]:
    if where.rpartition('.')[2].partition('[')[0] in FREE:
        return []
    missing = {key for key in sample.keys() - found.keys() if not _comes_and_goes(key)}
    texts = [f'{where}.{key}: is missing' for key in sorted(missing)]
    more = {key for key in found.keys() - sample.keys() if not _comes_and_goes(key)}
    texts += [f'{where}.{key}: is too much' for key in sorted(more)]
    for key in sorted(sample.keys() & found.keys()):
        texts += differences(found[key], sample[key], f'{where}.{key}')
    return texts


def _comes_and_goes(key: str) -> bool:
    return key in OPTIONAL or key.endswith('_links') or DEVICE.match(key) is not None


def _of_element(found: Json, sample: list[Json], where: str) -> list[str]:
    """Compare with the nearest of the example's elements: they may differ among themselves."""
    return min((differences(found, one, where) for one in sample), key=len)


def _kind(value: Json) -> str:
    if isinstance(value, bool):
        return 'boolean'
    if isinstance(value, (int, float)):
        return 'number'
    return type(value).__name__
