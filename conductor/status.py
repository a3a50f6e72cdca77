"""nova-status upgrade check: is everything there that the daemons will need?"""

import argparse
import enum
import json
import pathlib
import sys
from collections.abc import Callable
from typing import NamedTuple

import sqlalchemy as sa
from oslo_config import cfg

from kilonova.common import exception, version
from kilonova.common.clients import cinder, keystone
from kilonova.conductor.manage import cmd, tables
from kilonova.conductor.manage.parts import CommandError, Databases
from kilonova.db import cells, hosts
from kilonova.db.migrations import schema
from kilonova.db.models.api import HostMapping
from kilonova.db.models.cell import ComputeNodeRow, ServiceRow
from kilonova.db.models.servers import InstanceRow
from kilonova.db.types import LongText

MINIMUM_PLACEMENT = (1, 36)
MINIMUM_CINDER = (3, 44)


class Result(enum.IntEnum):
    """Outcome of a check; the worst one is the exit code."""

    SUCCESS = 0
    WARNING = 1
    FAILURE = 2


class Outcome(NamedTuple):
    result: Result
    details: str | None = None


GOOD = Outcome(Result.SUCCESS)
Check = Callable[[cfg.ConfigOpts], Outcome]


def _failure(details: str) -> Outcome:
    return Outcome(Result.FAILURE, details)


def check_cells(conf: cfg.ConfigOpts) -> Outcome:
    """Cell0 and a cell are mapped, their tables are up to date, their hosts are mapped."""
    with Databases(conf) as databases:
        if schema.version(databases.api(), 'api') != schema.head('api'):
            return _failure('The API database is not up to date: run "nova-manage api_db sync".')
        with databases.api().reader() as session:
            rows = cells.find_all(session)
            mapped = set(session.scalars(sa.select(HostMapping.host)))
        if not any(row.uuid == cells.CELL0_UUID for row in rows):
            return _failure('Cell0 is not mapped: run "nova-manage cell_v2 simple_cell_setup".')
        others = [row for row in rows if row.uuid != cells.CELL0_UUID]
        if not others:
            return _failure('No cell is mapped: run "nova-manage cell_v2 simple_cell_setup".')
        missing: set[str] = set()
        for row in rows:
            database = databases.mapped(row)
            if schema.version(database, 'cell') != schema.head('cell'):
                return _failure(
                    f'Cell {row.name}\'s database is not up to date: run "nova-manage db sync".'
                )
            with database.reader() as session:
                of_cell = sa.select(ServiceRow.host).where(ServiceRow.binary == hosts.COMPUTE)
                missing |= set(session.scalars(of_cell)) - mapped
    if missing:
        return _failure(
            f'Compute hosts that are in no cell: {", ".join(sorted(missing))}. Run '
            '"nova-manage cell_v2 discover_hosts".'
        )
    if not mapped:
        return Outcome(Result.WARNING, 'No compute host has registered yet.')
    return GOOD


def check_placement(conf: cfg.ConfigOpts) -> Outcome:
    """Placement answers, and is new enough."""
    try:
        response = keystone.request(keystone.adapter(conf, 'placement'), 'GET', '/')
    except exception.FellowServiceError as error:
        return _failure(str(error))
    if response.status_code != 200:
        return _failure(f'Placement answers with HTTP {response.status_code}.')
    newest = max(
        tuple(int(part) for part in entry['max_version'].split('.'))
        for entry in response.json()['versions']
    )
    if newest < MINIMUM_PLACEMENT:
        return _failure(
            'Placement API version {}.{} is needed, there is {}.{}.'.format(
                *MINIMUM_PLACEMENT, *newest
            )
        )
    return GOOD


def check_cinder(conf: cfg.ConfigOpts) -> Outcome:
    """Cinder, if there is one, knows attachments."""
    if not conf.cinder.auth_type:
        return GOOD
    newest = cinder.client(conf).newest()
    if newest is None or newest < MINIMUM_CINDER:
        there = '{}.{}'.format(*newest) if newest else 'none'
        return _failure(f'Cinder API version {cinder.ATTACHMENTS} is needed, there is {there}.')
    return GOOD


def check_policy_file(conf: cfg.ConfigOpts) -> Outcome:
    """A policy file in JSON format is not read any more."""
    name = conf.oslo_policy.policy_file
    path = conf.find_file(name)
    if path is None:
        if name == 'policy.yaml' and conf.find_file('policy.json'):
            return _failure(
                'There is a policy.json, which is not read. Rename it to policy.yaml after '
                '"oslopolicy-convert-json-to-yaml".'
            )
        return GOOD
    try:
        json.loads(pathlib.Path(path).read_text())
    except ValueError:
        return GOOD
    return _failure(f'The policy file {path} is JSON: convert it to YAML.')


def check_old_computes(conf: cfg.ConfigOpts) -> Outcome:
    """Running daemons may be one interface version behind, not more."""
    query = sa.select(sa.func.min(ServiceRow.version)).where(
        ServiceRow.binary == hosts.COMPUTE, ServiceRow.disabled.is_(False)
    )
    found: list[int] = []
    with Databases(conf) as databases:
        with databases.api().reader() as session:
            rows = cells.find_all(session)
        for mapping in rows:
            with databases.mapped(mapping).reader() as session:
                found += [one for one in session.scalars(query) if one is not None]
    oldest = min(found, default=None)
    if oldest is not None and oldest < version.SERVICE_VERSION - 1:
        return _failure(
            f'A nova-compute has service version {oldest}; {version.SERVICE_VERSION - 1} is the '
            'oldest that works with this release.'
        )
    return GOOD


def check_machine_types(conf: cfg.ConfigOpts) -> Outcome:
    """Guests that do not know their machine type would change it with [libvirt]hw_machine_type."""
    row, count = InstanceRow, 0
    on_libvirt = sa.select(ComputeNodeRow.host).where(
        ComputeNodeRow.hypervisor_type.in_(('QEMU', 'KVM'))
    )
    query = sa.select(sa.func.count(row.id)).where(
        row.deleted == 0,
        row.host.in_(on_libvirt),
        sa.type_coerce(row.image, LongText).not_like('%"hw_machine_type"%'),
        sa.type_coerce(row.system_metadata, LongText).not_like('%"image_hw_machine_type"%'),
    )
    with Databases(conf) as databases:
        with databases.api().reader() as session:
            rows = cells.find_all(session)
        for mapping in rows:
            with databases.mapped(mapping).reader() as session:
                count += session.scalar(query) or 0
    if count:
        return Outcome(
            Result.WARNING,
            f'{count} servers have no machine type of their own: do not change '
            '[libvirt]hw_machine_type before each of them has been started again.',
        )
    return GOOD


def check_service_token(conf: cfg.ConfigOpts) -> Outcome:
    """Without a service token long work fails when the user's token runs out."""
    if not conf.service_user.send_service_user_token:
        return _failure(
            'Service user tokens are not sent: set [service_user]send_service_user_token and '
            'the authentication options of that section.'
        )
    return GOOD


CHECKS: tuple[tuple[str, Check], ...] = (
    ('Cells v2', check_cells),
    ('Placement API', check_placement),
    ('Cinder API', check_cinder),
    ('Policy File JSON to YAML Migration', check_policy_file),
    ('Older than N-1 computes', check_old_computes),
    ('hw_machine_type unset', check_machine_types),
    ('Service User Token Configuration', check_service_token),
)


def upgrade_check(conf: cfg.ConfigOpts, words: argparse.Namespace) -> int:
    """Run all checks and show them; returns the worst result."""
    worst, blocks = Result.SUCCESS, []
    for name, check in CHECKS:
        outcome = _run(check, conf)
        worst = max(worst, outcome.result)
        blocks.append(
            [
                f'Check: {name}',
                f'Result: {outcome.result.name.capitalize()}',
                *_wrap(f'Details: {outcome.details}'),
            ]
        )
    print(tables.box('Upgrade Check Results', blocks))
    return int(worst)


def _run(check: Check, conf: cfg.ConfigOpts) -> Outcome:
    try:
        return check(conf)
    except (CommandError, exception.KilonovaError, sa.exc.SQLAlchemyError) as error:
        return _failure(str(getattr(error, 'orig', None) or error))


def _wrap(text: str, width: int = 60) -> list[str]:
    lines = ['']
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append('  ' + word)
        else:
            lines[-1] = f'{lines[-1]} {word}'.lstrip() if len(lines) == 1 else f'{lines[-1]} {word}'
    return lines


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code: 0, 1 warnings, 2 failures, 255 errors."""
    conf = cfg.ConfigOpts()
    conf.register_opts(
        [cfg.StrOpt('policy_file', default='policy.yaml', help='File with policies.')],
        group='oslo_policy',
    )
    try:
        cmd.read(conf, 'nova-status', sys.argv[1:] if argv is None else argv, _add_parsers)
        return int(conf.category.run(conf, conf.category))
    except cfg.Error as error:
        print(f'nova-status: {error}', file=sys.stderr)
        return 255


def _add_parsers(categories: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    upgrade = categories.add_parser('upgrade', help='Checks before and after an upgrade.')
    check = upgrade.add_subparsers(dest='command', required=True).add_parser(
        'check', help='Look for what would keep the daemons from working.'
    )
    check.set_defaults(run=upgrade_check)
    parser = categories.add_parser('version', help='Print the version.')
    parser.set_defaults(run=cmd.print_version)


if __name__ == '__main__':
    sys.exit(main())
