"""From the name in ``[DEFAULT]compute_driver`` to a driver."""

import importlib
import importlib.metadata

from oslo_config import cfg

from kilonova.common import exception
from kilonova.compute.virt import driver

HOME = 'kilonova.compute.virt'
ENTRY_POINTS = 'kilonova.virt'
BUILT_IN = {
    'libvirt.LibvirtDriver': 'libvirt.driver:LibvirtDriver',
    'fake.FakeDriver': 'fake:FakeDriver',
    'fake.SmallFakeDriver': 'fake:SmallFakeDriver',
    'fake.MediumFakeDriver': 'fake:MediumFakeDriver',
}


def load(conf: cfg.ConfigOpts) -> driver.Driver:
    """Return the configured driver, made with ``conf``; ``init_host`` has not been called.

    Raises VirtDriverError when there is no such driver or it cannot be imported.
    """
    name = conf.compute_driver
    if not name:
        raise exception.VirtDriverError(reason='[DEFAULT]compute_driver is not set.')
    try:
        made = _find(name)(conf)
    except ImportError as error:
        raise exception.VirtDriverError(
            reason=f'The virt driver {name} cannot be imported: {error}'
        ) from error
    if not isinstance(made, driver.Driver):
        raise exception.VirtDriverError(reason=f'{name} is not a virt driver.')
    return made


def is_fake(conf: cfg.ConfigOpts) -> bool:
    """Return whether one process may play several hosts with this driver."""
    return str(conf.compute_driver or '').startswith('fake.')


def _find(name: str) -> type:
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(':')
        found: type = getattr(importlib.import_module(f'{HOME}.{module}'), attribute)
        return found
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS, name=name):
        loaded: type = entry.load()
        return loaded
    known = ', '.join(sorted(BUILT_IN))
    raise exception.VirtDriverError(reason=f'There is no virt driver {name}; built in are {known}.')
