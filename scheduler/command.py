"""``nova-manage scheduler explain``."""

import argparse
from collections.abc import Iterable, Sequence

from oslo_config import cfg

from kilonova.common import rpc
from kilonova.common.context import RequestContext
from kilonova.common.objects.explanation import Explanation
from kilonova.common.objects.image import Image
from kilonova.common.objects.network import Networks
from kilonova.common.objects.server import ServerCreate
from kilonova.conductor import interface


def main(prog: str, words: list[str], conf: cfg.ConfigOpts) -> int:
    """Run a command of the category ``scheduler``."""
    arguments = _parse(prog, words)
    conductor = interface.client(conf, rpc.get_transport(conf))
    context = RequestContext(
        user_id='nova-manage', project_id=arguments.project_id, is_admin=True, overwrite=False
    )
    found = conductor.explain_servers(context, _wanted(arguments))
    print(text(found, arguments.left_out))
    return 0 if len(found.picked) == arguments.count else 1


def _parse(prog: str, words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=prog)
    commands = parser.add_subparsers(dest='command', required=True)
    explain = commands.add_parser(
        'explain', help='Say which hosts servers would get and why; nothing is created.'
    )
    explain.add_argument('--flavor', required=True, help='id of the flavor')
    explain.add_argument('--project-id', default='', help='whose servers they would be')
    explain.add_argument('--count', type=int, default=1, help='how many servers (1)')
    explain.add_argument('--availability-zone', metavar='ZONE')
    explain.add_argument('--host', help='the host that is asked for')
    explain.add_argument(
        '--image-property', metavar='NAME=VALUE', action='append', default=[], help='repeatable'
    )
    explain.add_argument(
        '--hint', metavar='NAME=VALUE', action='append', default=[], help='repeatable'
    )
    explain.add_argument(
        '--left-out', type=int, default=20, help='how many hosts that are left out to list (20)'
    )
    return parser.parse_args(words)


def _wanted(arguments: argparse.Namespace) -> ServerCreate:
    return ServerCreate(
        name='explain',
        flavorid=arguments.flavor,
        image=Image(id='explain', properties=_pairs(arguments.image_property)),
        networks=Networks(mode='none'),
        availability_zone=arguments.availability_zone,
        requested_host=arguments.host,
        scheduler_hints=_pairs(arguments.hint),
        min_count=arguments.count,
        max_count=arguments.count,
        zero_disk_allowed=True,
    )


def _pairs(words: Iterable[str]) -> dict[str, str]:
    found = {}
    for word in words:
        name, equals, value = word.partition('=')
        if not equals:
            raise ValueError(f'{word} is not NAME=VALUE')
        found[name] = value
    return found


def text(found: Explanation, most: int) -> str:
    """Return an explanation as tables."""
    parts = [_verdict(found)]
    stages = [
        (
            stage.name,
            str(stage.before),
            str(stage.after),
            ', '.join(f'{number} {reason}' for reason, number in stage.reasons.items()),
        )
        for stage in found.stages
    ]
    parts.append(table(('Stage', 'Before', 'After', 'Left out'), stages))
    names = sorted({name for one in found.candidates for name in one.weights})
    weighed = [
        (one.host, f'{one.weight:g}', *(f'{one.weights.get(name, 0):g}' for name in names))
        for one in found.candidates
    ]
    if weighed:
        parts.append(table(('Host', 'Weight', *names), weighed))
    left_out = [(one.host, one.stage, one.reason) for one in found.left_out]
    if left_out:
        parts.append(table(('Left out', 'Stage', 'Reason'), left_out[:most]))
    if len(left_out) > most:
        parts.append(f'... and {len(left_out) - most} more hosts that are left out')
    return '\n\n'.join(parts)


def _verdict(found: Explanation) -> str:
    words = f'Picked: {", ".join(found.picked) or "none"}'
    return f'{words}\n{found.message}' if found.message else words


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows below their heads, each column as wide as it has to be."""
    widths = [max(map(len, cells)) for cells in zip(heads, *rows, strict=True)]
    line = '+'.join('-' * (width + 2) for width in widths)

    def row(cells: Sequence[str]) -> str:
        padded = (f' {cell:<{width}} ' for cell, width in zip(cells, widths, strict=True))
        return '|' + '|'.join(padded) + '|'

    return '\n'.join([f'+{line}+', row(heads), f'+{line}+', *map(row, rows), f'+{line}+'])
