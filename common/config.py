"""The process's configuration.

Options live in the room that uses them: ``<room>/config.py`` has ``list_opts()`` that
returns ``[(group, [options])]`` with Nova's names, groups and defaults.  ``register``
registers a room's; ``list_opts`` here gathers all rooms' for the sample file.
"""

import importlib
import importlib.util
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging

CONF = cfg.CONF

ROOMS = (
    'common.base_config',
    'common.notifications.config',
    'api.config',
    'conductor.config',
    'scheduler.config',
    'compute.config',
    'consoleproxy.config',
    'compute.virt.libvirt.config',
    'db.config',
    'allinone.config',
)

Opts = list[tuple[str | None, list[Any]]]


def register(options: Opts, conf: cfg.ConfigOpts = CONF) -> None:
    """Register one room's options."""
    for group, opts in options:
        conf.register_opts(opts, group=group)


def parse(argv: list[str], prog: str, conf: cfg.ConfigOpts = CONF) -> None:
    """Read the command line and the files as Nova does (``/etc/nova/nova.conf`` …)."""
    from kilonova.common import base_config, version

    register(base_config.list_opts(), conf)
    logging.register_options(conf)
    logging.set_defaults(
        default_log_levels=[*logging.get_default_log_levels(), 'kombu=INFO', 'eventlet.wsgi=WARN']
    )
    conf(argv, project='nova', prog=prog, version=version.VERSION)
    logging.setup(conf, 'nova')
    _check_values(conf)


def _check_values(conf: cfg.ConfigOpts) -> None:
    """Look at every option once: a wrong value is to be told now, not when it is first needed."""
    for name in conf:
        value = conf[name]
        if isinstance(value, cfg.ConfigOpts.GroupAttr):
            dict(value)


def list_opts() -> Opts:
    """Return every option of every room: what oslo-config-generator prints."""
    gathered: Opts = []
    for room in ROOMS:
        name = 'kilonova.' + room
        if importlib.util.find_spec(name) is not None:
            gathered += importlib.import_module(name).list_opts()
    return gathered
