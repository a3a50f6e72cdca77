"""Find filters and weighers by the names in nova.conf.

Ours are known by class name, and by Nova's class paths and its words for "all".  Others
come by class path or by entry point.
"""

import importlib
import inspect
import pkgutil
from importlib import metadata
from types import ModuleType
from typing import Any

from oslo_config import cfg

from kilonova.common import exception
from kilonova.scheduler import filters, weights
from kilonova.scheduler.filters.base import Filter, HostFilter, PerHost
from kilonova.scheduler.weights.base import Weigher

_OURS = ('nova.scheduler.', 'kilonova.scheduler.')


def load_filters(conf: cfg.ConfigOpts) -> list[Filter]:
    """Return the enabled filters in order, those for single hosts last.  Raises InvalidInput."""
    ours = _classes_in(filters, Filter)
    available = _entry_points('kilonova.scheduler.filters')
    for path in conf.filter_scheduler.available_filters:
        available |= _resolve(path, ours, 'filters.all_filters')
    chosen = []
    for name in conf.filter_scheduler.enabled_filters:
        if name not in available:
            raise exception.InvalidInput(
                reason=f'[filter_scheduler]enabled_filters names {name}, which is not one of '
                + ', '.join(sorted(available))
            )
        chosen.append(_make_filter(conf, available[name]))
    return sorted(chosen, key=lambda found: isinstance(found, PerHost))


def load_weighers(conf: cfg.ConfigOpts) -> list[Weigher]:
    """Return the weighers of ``weight_classes``.  Raises InvalidInput."""
    ours = _classes_in(weights, Weigher)
    others = _entry_points('kilonova.scheduler.weights')
    chosen: dict[str, type[Any]] = {}
    for path in conf.filter_scheduler.weight_classes:
        if path in others:
            chosen[path] = others[path]
        else:
            chosen |= _resolve(path, ours, 'weights.all_weighers')
    return [found(conf) for found in chosen.values()]


def _make_filter(conf: cfg.ConfigOpts, found: type[Any]) -> Filter:
    if issubclass(found, Filter):
        return found(conf)
    if issubclass(found, HostFilter) or hasattr(found, 'host_passes'):
        return PerHost(conf, found())
    raise exception.InvalidInput(reason=f'{found.__qualname__} is not a filter')


def _classes_in(package: ModuleType, base: type[Any]) -> dict[str, type[Any]]:
    """Return the classes of a package's modules that can be enabled, in the order of their names."""
    found = {}
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + '.'):
        for name, member in vars(importlib.import_module(module.name)).items():
            if (
                inspect.isclass(member)
                and issubclass(member, base)
                and member.__module__ == module.name
                and not name.startswith('_')
                and not module.name.endswith('.base')
            ):
                found[name] = member
    return found


def _entry_points(group: str) -> dict[str, type[Any]]:
    return {point.name: point.load() for point in metadata.entry_points(group=group)}


def _resolve(path: str, ours: dict[str, type[Any]], everything: str) -> dict[str, type[Any]]:
    """Return what a path names: all of ours, one of ours, or something importable."""
    module, _, name = path.rpartition('.')
    if path.startswith(_OURS):
        if path.endswith('.' + everything):
            return ours
        if name in ours:
            return {name: ours[name]}
        if module.startswith('nova.'):
            raise exception.InvalidInput(reason=f'{path} is not known')
    try:
        member = getattr(importlib.import_module(module), name)
        classes = [member] if inspect.isclass(member) else list(member())
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise exception.InvalidInput(reason=f'{path} cannot be loaded: {error}') from error
    return {found.__name__: found for found in classes}
