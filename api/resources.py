"""Imports all modules that declare operations."""

import functools
import importlib
import pkgutil

import kilonova.api
import kilonova.api.servers
from kilonova.api import volumes_boot

# They start processes or build applications; importing them declares nothing.
_NO_RESOURCES = ('cmd', 'wsgi', 'policy_cmd', 'app', 'pipeline', 'server', 'service')


@functools.cache
def load() -> None:
    """Fill the registry of operations."""
    for package in (kilonova.api, kilonova.api.servers):
        for module in pkgutil.iter_modules(package.__path__, package.__name__ + '.'):
            if not module.ispkg and module.name.rpartition('.')[2] not in _NO_RESOURCES:
                importlib.import_module(module.name)
    volumes_boot.declare()
