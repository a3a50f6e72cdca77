"""Which of Nova's published examples belongs to which route, and the state it is sent in.

The table is ``tests/data/samples.txt``.
"""

import dataclasses
import functools
import pathlib
from typing import Any

from kilonova.api import versions
from kilonova.api.versions import Version
from kilonova.tests.unit.api import reference
from kilonova.tests.unit.api.reference import Key

_FILE = pathlib.Path(__file__).parents[1] / 'data' / 'samples.txt'
NO_SAMPLE = '-'


@dataclasses.dataclass(frozen=True)
class Sample:
    """One line of the table."""

    key: Key
    request: str
    answer: str
    state: str
    since: Version
    until: Version
    query: str = ''

    def __str__(self) -> str:
        names = [name for name in (self.request, self.answer) if name != NO_SAMPLE]
        return ' '.join([*filter(None, self.key), *names[:1], self.query])

    @classmethod
    def read(cls, line: str) -> 'Sample':
        start, *cells = line.split()
        path, action, request, answer, state = cells[:5]
        state, since, until = _span(state)
        query = cells[5] if len(cells) > 5 else ''
        key = start, path, None if action == NO_SAMPLE else action
        return cls(key, request, answer, state, since, until, query)


def _span(state: str) -> tuple[str, Version, Version]:
    """Split the versions off that a sample holds for: ``server-2.58``, ``create-2.1-2.36``."""
    words = state.split('-')
    spans = [versions.parse(word) for word in words if word.startswith('2.')]
    name = '-'.join(word for word in words if not word.startswith('2.')) or NO_SAMPLE
    since = spans[0] if spans else versions.MIN
    return name, since, spans[1] if len(spans) > 1 else versions.MAX


# Of these versions the example is what a member sees, not an administrator.
SEEN_BY_MEMBERS = {
    f'servers/{name}@{version}'
    for name in (
        'server-get-resp', 'servers-details-resp', 'server-update-resp',
        'server-action-rebuild-resp',
    )
    for version in ('2.90', '2.94', '2.96', '2.98', '2.100', '2.104')
}  # fmt: skip


# Examples that their own version refuses: with files, without networks.
WRONG = {'servers/server-create-req@2.90', 'servers/server-create-req@2.94'}
# Devices had tags at 2.32, and again from 2.42.
ONCE = {'servers/server-create-req@2.32'}

SAMPLES = [
    Sample.read(line)
    for line in _FILE.read_text().splitlines()
    if line and not line.startswith('#')
]

# Folders of what was removed, of a quota driver that needs a cloud of its own, and of Ironic,
# which nobody here speaks to.
UNUSED = set(
    """
consoles os-agents os-cells os-certificates os-cloudpipe os-fixed-ips os-floating-ip-dns
os-floating-ips-bulk os-fping os-networks-associate os-security-group-default-rules
os-virtual-interfaces os-quota-sets-noop os-baremetal-nodes
""".split()
)
# The same of single files, and what is only shown to explain another one.
ELSEWHERE = set(
    """
extension-info/extensions-list-resp-v21-compatible
os-admin-actions/admin-actions-reset-network
servers/server-get-down-cell-resp
os-floating-ips/floating-ips-list-empty-resp
os-networks/network-add-req os-networks/network-create-req os-networks/network-create-resp
os-tenant-networks/networks-post-req os-tenant-networks/networks-post-res
os-remote-consoles/create-rdp-console-req os-remote-consoles/get-rdp-console-post-req
os-remote-consoles/get-rdp-console-post-resp
os-rescue/server-get-resp-rescue os-rescue/server-get-resp-unrescue
os-server-shares/server-shares-create-resp os-server-shares/server-shares-show-resp
os-server-shares/server-shares-delete-req
versions/v2-version-get-resp versions/versions-get-resp
""".split()
)
# What is answered while a cell is down.
PARTIAL = {
    f'{name}@2.69'
    for name in (
        'os-services/services-list-get-resp', 'servers/server-get-resp',
        'servers/servers-details-resp', 'servers/servers-list-resp',
    )
}  # fmt: skip


@functools.cache
def contents(name: str) -> dict[Version, Any]:
    """Return a sample of all versions that it is there for."""
    if name == NO_SAMPLE:
        return {}
    folder, _slash, stem = name.partition('/')
    found = {}
    for path, content in reference.samples(folder):
        parts = path.split('/')
        version = versions.parse(parts[1][1:]) if len(parts) == 3 else versions.MIN
        if parts[-1] == f'{stem}.json' and f'{name}@{version}' not in PARTIAL | WRONG:
            found[version] = content
    return found


def at(name: str, version: Version) -> Any:
    """Return the sample that holds at a version, or None."""
    known = contents(name)
    held = [v for v in known if v <= version and (v == version or f'{name}@{v}' not in ONCE)]
    return known[max(held)] if held else None
