"""Every command that the clients have for compute is run by one of the tests here."""

import ast
import importlib.metadata
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip('openstackclient')
HERE = Path(__file__).parent
ELSEWHERE = {
    'quota delete', 'quota list', 'quota set', 'quota show', 'limits show', 'versions show',
    'availability zone list', 'extension list',
}  # fmt: skip
"""Of the commands that several services share, those that ask compute."""
BROKEN = {
    'server migration show': 'asks with server and migration exchanged',
}
"""What the client cannot do, with any cloud, in the version that is installed."""


def ran(pattern: str, methods: tuple[str, ...]) -> Iterator[str]:
    """Give the first word of each call of one of the methods, in the modules of that name."""
    for path in HERE.glob(pattern):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                first = node.args[0] if node.args else None
                if node.func.attr in methods and isinstance(first, ast.Constant):
                    yield str(first.value)
            # A table of commands, or a name for the beginning of one.
            elif isinstance(node, ast.Tuple) and node.elts:
                yield from (
                    one.value
                    for one in node.elts
                    if isinstance(one, ast.Constant) and isinstance(one.value, str)
                )


def test_openstack() -> None:
    entry_points = importlib.metadata.entry_points(group='openstack.compute.v2')
    commands = {one.name.replace('_', ' ') for one in entry_points} | ELSEWHERE
    missing = commands - set(ran('test_openstack_*.py', ('run', 'show'))) - BROKEN.keys()
    assert missing == set()


def test_nova() -> None:
    from novaclient.v2 import shell

    commands = {name[3:].replace('_', '-') for name in vars(shell) if name.startswith('do_')}
    missing = commands - set(ran('test_nova_shell_*.py', ('run', 'rows', 'show')))
    assert missing == set()
