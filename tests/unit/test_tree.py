"""The tree itself: packages, requirements, commands, and options against Nova's."""

import ast
import configparser
import csv
import importlib
import importlib.metadata
import pathlib
import re
from typing import Any

import pytest
from oslo_config import cfg, types
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from kilonova.common import config

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# The tables of Nova's contract: beside the checkout where the project is developed.
REFERENCE = ROOT.parent / 'shared' / 'reference' / 'config_options.csv'
# Folders with programs and texts; nothing of them is imported as kilonova.*.
NO_ROOMS = {'bench', 'build', 'dist', 'doc', 'etc', 'releasenotes', 'tools'}

TYPES: dict[type, set[str]] = {
    types.Boolean: {'boolean'},
    types.Integer: {'integer', 'port'},
    types.Port: {'port'},
    types.Float: {'float'},
    types.String: {'string', 'multi string', 'uri', 'host', 'hostdomain', 'list of CapNameOrInt'},
    types.HostAddress: {'host'},
    types.HostDomain: {'hostdomain'},
    types.URI: {'uri'},
    str: {'string'},
}

# Options whose type or default differs from Nova's on purpose, and why.
DIFFERENT = {
    'DEFAULT.state_path': "Nova's default is the folder of its Python files; packages set ours",
    'DEFAULT.host': 'the machine',
    'DEFAULT.my_ip': 'the machine; 127.0.0.1 asks no network at import time',
    'oslo_limit.service_type': 'what the section is for, as in those of the other services',
    'oslo_limit.valid_interfaces': 'the same',
}
# Options that Nova 34 does not have, and why we do.
OURS = {
    'operations.*': 'durable operations have no counterpart in Nova',
    'fake_driver.*': 'the fake driver can be told to be slow and to fail',
    'DEFAULT.enabled_apis': 'Nova dropped its built-in web server; ours keeps these names',
    'DEFAULT.enabled_ssl_apis': 'the same',
    'DEFAULT.osapi_compute_*': 'the same',
    'DEFAULT.metadata_*': 'the same',
    'wsgi.*': 'the same',
    'filter_scheduler.preferred_traits_weight_multiplier': 'Nova knows no preferred traits',
    'prometheus.*': 'Nova has no metrics to be scraped',
    'libvirt.iscsi_initiator': 'QEMU can log in to targets itself, without privileges',
    'console.max_connections': 'Nova takes as many consoles as there come',
    'console.check_interval': 'Nova does not look after open consoles',
    'api.auth_strategy': 'chooses the noauth2 pipeline',
    'glance.auth_*': 'service credentials for images, as for the other services',
    'oslo_limit.auth_*': 'the same, for limits that Keystone keeps',
    'manila.*': 'where shares are, as for the other services; Nova knows the catalog alone',
    '*.version': "keystoneauth's adapter options, which Nova hides",
    '*.min_version': 'the same',
    '*.max_version': 'the same',
}


def _setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / 'setup.cfg')
    return parser


def _rooms() -> tuple[str, ...]:
    tree = ast.parse((ROOT / 'setup.py').read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == 'ROOMS':
            rooms: tuple[str, ...] = ast.literal_eval(node.value)
            return rooms
    raise AssertionError('setup.py has no ROOMS')


def test_every_folder_with_code_is_a_package() -> None:
    # A folder without __init__.py works in an editable install and is missing from the wheel.
    missing = {
        path.parent.relative_to(ROOT).as_posix()
        for room in _rooms()
        for path in (ROOT / room).rglob('*.py')
        if not (path.parent / '__init__.py').exists()
    }
    assert not missing


def test_packages_of_the_product_are_empty() -> None:
    # What an __init__.py imports, everybody who imports the package pays for.
    full = [
        path.relative_to(ROOT).as_posix()
        for room in set(_rooms()) - {'tests'}
        for path in (ROOT / room).rglob('__init__.py')
        if path.read_text().strip()
    ]
    assert not full


def test_rooms_are_the_folders() -> None:
    folders = {
        path.name
        for path in ROOT.iterdir()
        if path.is_dir() and not path.name.startswith('.') and any(path.rglob('*.py'))
    }
    assert folders - NO_ROOMS == set(_rooms())


def test_import_contracts_know_every_room() -> None:
    product = set(_rooms()) - {'tests'}
    contract = _setup_cfg()['importlinter']['root_packages'].split()
    assert {name.removeprefix('kilonova.') for name in contract} == product


def _constraints() -> dict[str, str]:
    lines = (ROOT / 'constraints.txt').read_text().splitlines()
    pins = [line.split('#')[0].strip().partition('==') for line in lines]
    return {canonicalize_name(name): version for name, _, version in pins if name}


def _requirements() -> list[str]:
    setup = _setup_cfg()
    extras = setup['options.extras_require'].values()
    listed = '\n'.join([setup['options']['install_requires'], *extras])
    listed += '\n' + (ROOT / 'test-requirements.txt').read_text()
    lines = [line.split('#')[0].strip() for line in listed.splitlines()]
    return [line for line in lines if line]


def test_constraints_satisfy_the_requirements() -> None:
    pins, wrong = _constraints(), []
    for line in _requirements():
        wanted = Requirement(line)
        pin = pins.get(canonicalize_name(wanted.name))
        if pin is None or not wanted.specifier.contains(pin, prereleases=True):
            wrong.append(f'{line}: {pin}')
    assert not wrong


def _scripts() -> list[tuple[str, str]]:
    lines = _setup_cfg()['options.entry_points']['console_scripts'].split('\n')
    return [(n.strip(), t.strip()) for n, _, t in (line.partition('=') for line in lines) if t]


@pytest.mark.parametrize('name, target', _scripts())
def test_commands_can_be_imported(name: str, target: str) -> None:
    module, _, function = target.partition(':')
    assert callable(getattr(importlib.import_module(module), function)), name


def test_every_daemon_has_a_unit() -> None:
    units = {path.stem for path in (ROOT / 'etc' / 'systemd').glob('*.service')}
    commands = {name for name, _ in _scripts()}
    tools = {'nova-manage', 'nova-status', 'nova-policy', 'nova-allinone'}
    assert commands - tools <= units <= commands


def _options() -> list[tuple[str, cfg.Opt]]:
    found = []
    for group, options in config.list_opts():
        name = 'DEFAULT' if group is None else getattr(group, 'name', group)
        found += [(f'{name}.{option.name.replace("-", "_")}', option) for option in options]
    return found


def _excepted(name: str, table: dict[str, str]) -> bool:
    group, _, option = name.partition('.')
    for pattern in table:
        wanted_group, _, wanted = pattern.partition('.')
        if re.fullmatch(wanted_group.replace('*', '.*'), group) and re.fullmatch(
            wanted.replace('*', '.*'), option
        ):
            return True
    return False


@pytest.fixture(scope='module')
def reference() -> dict[str, dict[str, str]]:
    if not REFERENCE.exists():
        pytest.skip("the tables of Nova's contract are not here")
    with REFERENCE.open(newline='') as file:
        return {
            f'{row["group"]}.{row["option"].replace("-", "_")}': row for row in csv.DictReader(file)
        }


def test_option_names_are_novas(reference: dict[str, dict[str, str]]) -> None:
    assert len(reference) > 1000
    unknown = [name for name, _ in _options() if name not in reference]
    assert not [name for name in unknown if not _excepted(name, OURS)]


def _written(option: cfg.Opt) -> str:
    """Return the default as nova.conf would spell it."""
    value = option.default
    if value is None:
        return ''
    if isinstance(value, list | tuple):
        return ','.join(str(one) for one in value)
    return str(value)


def _kinds(option: cfg.Opt) -> set[str]:
    kind: Any = option.type
    if option.name == 'unified_limits_resource_list':
        return {'list of UnifiedLimitsResource'}  # a list of words of a certain form
    if isinstance(option, cfg.MultiOpt):
        return {'multi string', 'multi dict of string'}
    if isinstance(kind, types.List):
        return {'list of string', 'list of integer', 'list of CapNameOrInt'}
    return TYPES[kind if isinstance(kind, type) else type(kind)]


def test_option_types_are_novas(reference: dict[str, dict[str, str]]) -> None:
    wrong = [
        f'{name}: {reference[name]["type"]}'
        for name, option in _options()
        if name in reference
        and name not in DIFFERENT
        and reference[name]['type'] not in _kinds(option)
    ]
    assert not wrong


def test_option_defaults_are_novas(reference: dict[str, dict[str, str]]) -> None:
    wrong = [
        f'{name}: {_written(option)!r}, Nova {reference[name]["default"]!r}'
        for name, option in _options()
        if name in reference
        and not _excepted(name, DIFFERENT)
        and _written(option) != reference[name]['default']
    ]
    assert not wrong


def test_secrets_are_marked(reference: dict[str, dict[str, str]]) -> None:
    wrong = [
        name
        for name, option in _options()
        if name in reference and reference[name]['secret'] == 'y' and not option.secret
    ]
    assert not wrong


def test_exceptions_are_still_exceptions(reference: dict[str, dict[str, str]]) -> None:
    names = {name for name, _ in _options()}
    assert set(DIFFERENT) <= names
    stale = [
        pattern
        for pattern in OURS
        if not any(_excepted(n, {pattern: ''}) and n not in reference for n in names)
    ]
    assert not stale
