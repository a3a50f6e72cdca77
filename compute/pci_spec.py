"""``[pci]device_spec``: which of a host's devices guests may have, and what they are called."""

import fnmatch
import functools
import json
import re
from collections.abc import Iterable

import msgspec
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.pci import PciDevice

MATCHED = ('vendor_id', 'product_id', 'address', 'devname', 'parent_ifname')
_PARTS = ('domain', 'bus', 'slot', 'function')
_ADDRESS = re.compile(
    r'(?:(?P<domain>[^:]*):)?(?P<bus>[^:.]*):(?P<slot>[^:.]*)(?:\.(?P<function>.*))?'
)


class Spec(msgspec.Struct):
    """One entry: what a device has to be like, and its tags."""

    match: dict[str, str | dict[str, str]]
    tags: dict[str, str]


@functools.lru_cache(maxsize=8)
def parse(texts: tuple[str, ...]) -> list[Spec]:
    """Raises PciInvalidSpec."""
    found = []
    for text in texts:
        try:
            entries = json.loads(text)
        except ValueError as error:
            raise exception.PciInvalidSpec(reason=f"Invalid entry: '{text}'") from error
        for entry in entries if isinstance(entries, list) else [entries]:
            found.append(_spec(entry, text))
    return found


def _spec(entry: object, text: str) -> Spec:
    if not isinstance(entry, dict):
        raise exception.PciInvalidSpec(reason=f"Invalid entry: '{text}'; Expecting a dict")
    if 'address' in entry and 'devname' in entry:
        raise exception.PciInvalidSpec(reason='Either devname or address can be specified')
    for name in ('vendor_id', 'product_id'):
        if not re.fullmatch(r'\*|[0-9a-fA-F]{1,4}', str(entry.get(name, '*'))):
            raise exception.PciInvalidSpec(reason=f"{name} of '{text}' is no hexadecimal number")
    address = entry.get('address')
    if isinstance(address, str) and not _ADDRESS.fullmatch(address):
        raise exception.PciInvalidSpec(reason=f"address of '{text}' has an incorrect format")
    return Spec(
        {name: entry[name] for name in MATCHED if name in entry},
        {
            name: '' if value is None else str(value)
            for name, value in entry.items()
            if name not in MATCHED
        },
    )


def usable(conf: cfg.ConfigOpts, devices: Iterable[PciDevice]) -> list[PciDevice]:
    """Return the devices that some entry names, with the tags of the first that does."""
    specs = parse(tuple(conf.pci.device_spec))
    found = []
    for device in devices:
        spec = next((spec for spec in specs if _is(device, spec)), None)
        if spec is not None:
            found.append(msgspec.structs.replace(device, tags={**device.tags, **spec.tags}))
    return found


def _is(device: PciDevice, spec: Spec) -> bool:
    for name, wanted in spec.match.items():
        if name == 'address':
            # A physical function stands for its virtual ones, too.
            own = [device.address, *([device.parent_addr] if device.parent_addr else [])]
            if not any(_at(one, wanted) for one in own):
                return False
        elif name in ('devname', 'parent_ifname'):
            if device.label != wanted:
                return False
        elif wanted != '*' and getattr(device, name).lower() != str(wanted).lower().zfill(4):
            return False
    return True


def _at(address: str, wanted: str | dict[str, str]) -> bool:
    """Compare part by part: a pattern as text, or regular expressions as a dictionary."""
    own = _ADDRESS.fullmatch(address)
    if own is None:
        return False
    if isinstance(wanted, dict):
        return all(re.fullmatch(wanted.get(part, '.*'), own[part] or '') for part in _PARTS)
    pattern = _ADDRESS.fullmatch(wanted)
    assert pattern is not None
    return all(fnmatch.fnmatchcase(own[part] or '', pattern[part] or '*') for part in _PARTS)
