"""Every golden domain is one for libvirt's own schema, and no attribute is without a golden one."""

import dataclasses
import functools
import importlib
import os
import pathlib
import pkgutil
from collections.abc import Iterator

import pytest
from lxml import etree

from kilonova.compute.virt.libvirt import xml
from kilonova.compute.virt.libvirt.xml.element import Element
from kilonova.tests.fakes.libvirt import DATA

SCHEMAS = pathlib.Path(os.environ.get('LIBVIRT_SCHEMAS', '/usr/share/libvirt/schemas'))
GOLDEN = sorted(DATA.glob('domain-*.xml'))
DOMAINS = [path for path in GOLDEN if path.name != 'domain-capabilities.xml']
# Taken from another domain, not declared.
NOT_DECLARED = {'Kept.node'}


@functools.cache
def _schema(name: str) -> etree.RelaxNG:
    path = SCHEMAS / name
    if not path.exists():
        pytest.skip(f'{path} is not there: libvirt is not installed')
    return etree.RelaxNG(etree.parse(str(path)))


@pytest.mark.parametrize('path', DOMAINS, ids=lambda path: path.stem)
def test_libvirt_takes_it(path: pathlib.Path) -> None:
    _schema('domain.rng').assertValid(etree.parse(str(path)))


@pytest.mark.parametrize('path', sorted(DATA.glob('disk-*.xml')), ids=lambda path: path.stem)
def test_libvirt_takes_the_disk(path: pathlib.Path) -> None:
    tree = etree.parse(str(DATA / 'domain-plain.xml'))
    devices = tree.getroot().find('devices')
    assert devices is not None
    for node in [*devices.findall('disk'), *tree.getroot().findall('os/boot')]:
        parent = node.getparent()
        assert parent is not None
        parent.remove(node)
    devices.append(etree.parse(str(path)).getroot())
    _schema('domain.rng').assertValid(tree)


@pytest.mark.parametrize('path', sorted(DATA.glob('secret-*.xml')), ids=lambda path: path.stem)
def test_libvirt_takes_the_secret(path: pathlib.Path) -> None:
    _schema('secret.rng').assertValid(etree.parse(str(path)))


def test_libvirt_takes_the_backup() -> None:
    _schema('domainbackup.rng').assertValid(etree.parse(str(DATA / 'backup.xml')))


def _elements() -> Iterator[type[Element]]:
    for module in pkgutil.iter_modules(xml.__path__):
        importlib.import_module(f'{xml.__name__}.{module.name}')
    waiting = list(Element.__subclasses__())
    while waiting:
        found = waiting.pop()
        waiting += found.__subclasses__()
        if found.__module__.startswith(xml.__name__):
            yield found


def _golden() -> list[etree._Element]:
    return [etree.parse(str(path)).getroot() for path in sorted(DATA.glob('*.xml'))]


def _is_touched(trees: list[etree._Element], element: type[Element], path: str) -> bool:
    """Whether some golden file has the attribute or element at that place."""
    steps, _, attribute = path.partition('@')
    parts = [part for part in steps.split('/') if part not in ('', '.')]
    tag = etree.QName(element.NAMESPACES.get(element.TAG.partition(':')[0]),
                      element.TAG.rpartition(':')[2]).text  # fmt: skip
    names = [_qualified(part, element.NAMESPACES) for part in parts]
    for tree in trees:
        for node in tree.iter(tag):
            found = node.findall('/'.join(names)) if names else [node]
            if any(not attribute or one.get(attribute) is not None for one in found):
                return True
    return False


def _qualified(name: str, namespaces: dict[str, str]) -> str:
    prefix, colon, local = name.partition(':')
    return f'{{{namespaces[prefix]}}}{local}' if colon else name


def test_every_attribute_is_in_some_golden_file() -> None:
    trees = _golden()
    missing = sorted(
        f'{element.__name__}.{field.name}'
        for element in _elements()
        for field in dataclasses.fields(element)  # type: ignore[arg-type]
        if not _is_touched(trees, element, field.metadata['path'])
    )
    assert [name for name in missing if name not in NOT_DECLARED] == []
