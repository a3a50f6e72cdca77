"""The old name of servers that boot from volumes (up to 2.102): the same operations."""

import dataclasses

from kilonova.api import operation, versions

OLD, LAST = '/os-volumes_boot', versions.parse('2.102')
_ACTIONS = frozenset(
    (
        'confirmResize',
        'createImage',
        'os-start',
        'os-stop',
        'reboot',
        'rebuild',
        'resize',
        'revertResize',
        'trigger_crash_dump',
    )
)
_PATHS = ('/servers', '/servers/detail', '/servers/{}', '/servers/{}/action')


def declare() -> None:
    """Declare again, below the old path, what is declared for servers."""
    for one in list(operation.REGISTRY):
        known = one.path.replace(f'{{{one.arguments[0]}}}', '{}') if one.arguments else one.path
        if known not in _PATHS or one.since > LAST:
            continue
        if one.action is None or one.action in _ACTIONS:
            path = OLD + one.path.removeprefix('/servers')
            again = dataclasses.replace(one, path=path, until=min(one.until, LAST))
            operation.REGISTRY.append(again)
