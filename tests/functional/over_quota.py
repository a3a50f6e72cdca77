"""What takes more than a quota leaves, and how it is refused: of each resource, with its numbers."""

import base64
import dataclasses
from collections.abc import Callable
from typing import Any

from kilonova.db import unified_limits
from kilonova.tests.functional.cloud import Answer, Cloud
from kilonova.tests.functional.routes import KEY

HIGH = 1_000_000
MEMBER = 'demo:demo'
Numbers = tuple[str, int, int, int]
"""A resource, its limit, what is used of it and what would come to it."""


@dataclasses.dataclass
class World:
    """A server with one item of metadata, alone in the only group, and the only key pair."""

    cloud: Cloud
    image: str
    small: str
    large: str
    group: str = ''
    server: str = ''

    def __post_init__(self) -> None:
        group = {'server_group': {'name': 'full', 'policy': 'soft-affinity'}}
        made = self.cloud.call('POST', '/os-server-groups', group)
        self.group = made.json['server_group']['id']
        answer = self.boot(metadata={'known': '1'}, hints={'group': self.group})
        assert answer.status == 202, answer.text
        self.server = answer.json['server']['id']
        self.cloud.wait_status(self.server, 'ACTIVE')
        assert self.add_key('known').status == 201

    def boot(self, version: str = '2.56', hints: Any = None, **fields: Any) -> Answer:
        server = {'name': 'x', 'flavorRef': self.small, 'imageRef': self.image, 'networks': 'none'}
        body = {'server': server | fields, **({'os:scheduler_hints': hints} if hints else {})}
        return self.cloud.call('POST', '/servers', body, version=version)

    def act(self, version: str = '2.56', **body: Any) -> Answer:
        path = f'/servers/{self.server}/action'
        return self.cloud.call('POST', path, body, version=version)

    def put(self, method: str, path: str, body: Any) -> Answer:
        return self.cloud.call(method, f'/servers/{self.server}{path}', body)

    def add_key(self, name: str) -> Answer:
        keypair = {'keypair': {'name': name, 'public_key': KEY}}
        return self.cloud.call('POST', '/os-keypairs', keypair)

    def add_group(self) -> Answer:
        group = {'server_group': {'name': 'one more', 'policy': 'affinity'}}
        return self.cloud.call('POST', '/os-server-groups', group)


@dataclasses.dataclass
class Case:
    """Limits, a request, the message of our own quotas, and the numbers that Keystone's name."""

    name: str
    limits: dict[str, int]
    ask: Callable[[World], Answer]
    message: str
    numbers: list[Numbers]

    def unified_message(self) -> str:
        """Return what is said when Keystone keeps the limits."""
        said = [
            f'Resource {unified_limits.NAMES[name]} is over limit of {limit} due to current usage '
            f'{used} and delta {more}'
            for name, limit, used, more in self.numbers
        ]
        of_project = {name for name, *_ in self.numbers} <= {'instances', 'cores', 'ram'}
        return f'Project {"demo" if of_project else None} is over a limit for [{", ".join(said)}]'


def files(*found: tuple[str, bytes]) -> list[dict[str, str]]:
    return [{'path': p, 'contents': base64.b64encode(c).decode()} for p, c in found]


def _many(least: int, most: int) -> Callable[[World], Answer]:
    return lambda world: world.boot(min_count=least, max_count=most)


def _resize(world: World) -> Answer:
    return world.act(resize={'flavorRef': world.large})


def _boot_files(*found: tuple[str, bytes]) -> Callable[[World], Answer]:
    return lambda world: world.boot(personality=files(*found))


def _exceeded(names: str, asked: str, used: str, limits: str) -> str:
    return f'Quota exceeded for {names}: Requested {asked}, but already used {used} of {limits} {names}'


TWO = {'a': '1', 'b': '1'}
SERVERS = [
    Case('one server', {'instances': 1}, _many(1, 1), _exceeded('instances', '1', '1', '1'),
         [('instances', 1, 1, 1)]),
    Case('none allowed', {'instances': 0}, _many(1, 1), _exceeded('instances', '1', '1', '0'),
         [('instances', 0, 1, 1)]),
    Case('cores', {'cores': 1}, _many(1, 1), _exceeded('cores', '1', '1', '1'),
         [('cores', 1, 1, 1)]),
    Case('ram', {'ram': 1000}, _many(1, 1), _exceeded('ram', '512', '512', '1000'),
         [('ram', 1000, 512, 512)]),
    Case('two at once', {'cores': 2, 'ram': 1100}, _many(2, 2),
         _exceeded('cores, ram', '2, 1024', '1, 512', '2, 1100'),
         [('ram', 1100, 512, 1024), ('cores', 2, 1, 2)]),
    Case('two to five', {'cores': 2, 'instances': 2}, _many(2, 5),
         _exceeded('cores, instances', '5, 2-5', '1, 1', '2, 2'),
         [('cores', 2, 1, 2), ('instances', 2, 1, 2)]),
    Case('resize', {'cores': 1}, _resize, _exceeded('cores', '1', '1', '1'), [('cores', 1, 1, 2)]),
    Case('resize, two resources', {'cores': 1, 'ram': 600}, _resize,
         _exceeded('cores, ram', '1, 3584', '1, 512', '1, 600'),
         [('ram', 600, 512, 4096), ('cores', 1, 1, 2)]),
]  # fmt: skip
METADATA = [
    Case(f'metadata: {name}', {'metadata_items': 1}, ask,
         'Maximum number of metadata items exceeds 1', [('metadata_items', 1, 0, 2)])
    for name, ask in {
        'create': lambda world: world.boot(metadata=TWO),
        'update': lambda world: world.put('POST', '/metadata', {'metadata': {'b': '1'}}),
        'replace': lambda world: world.put('PUT', '/metadata', {'metadata': TWO}),
        'item': lambda world: world.put('PUT', '/metadata/b', {'meta': {'b': '1'}}),
        'rebuild': lambda world: world.act(rebuild={'imageRef': world.image, 'metadata': TWO}),
    }.items()
]  # fmt: skip
_PATH, _CONTENT = ('Personality file path exceeds maximum 3',
                   'Personality file content exceeds maximum 7')  # fmt: skip
_SHORT = {'injected_file_path_bytes': 3, 'injected_file_content_bytes': 7}
_OF_PATH, _OF_CONTENT = [('injected_file_path_bytes', 3, 0, 4)], [
    ('injected_file_content_bytes', 7, 0, 8)
]  # fmt: skip
FILES = [
    Case('files', {'injected_files': 1}, _boot_files(('/a', b'x'), ('/b', b'x')),
         'Personality file limit exceeded', [('injected_files', 1, 0, 2)]),
    Case('files: rebuild', {'injected_files': 0},
         lambda world: world.act(
             rebuild={'imageRef': world.image, 'personality': files(('/a', b''))}),
         'Personality file limit exceeded', [('injected_files', 0, 0, 1)]),
    Case('path', _SHORT, _boot_files(('/abc', b'x')), _PATH, _OF_PATH),
    Case('content', _SHORT, _boot_files(('/éé', b'xxxx')), _CONTENT, _OF_CONTENT),
    Case('a path before any content', _SHORT, _boot_files(('/a', b'xxxx'), ('/abc', b'')), _PATH,
         _OF_PATH),
    Case('files before servers', {**_SHORT, 'instances': 0}, _boot_files(('/abc', b'x')), _PATH,
         _OF_PATH),
]  # fmt: skip
OTHERS = [
    Case('key pairs', {'key_pairs': 1}, lambda world: world.add_key('more'),
         'Quota exceeded, too many key pairs.', [('key_pairs', 1, 1, 1)]),
    Case('a key pair that is there', {'key_pairs': 1}, lambda world: world.add_key('known'),
         'Quota exceeded, too many key pairs.', [('key_pairs', 1, 1, 1)]),
    Case('server groups', {'server_groups': 1}, World.add_group,
         'Quota exceeded, too many server groups.', [('server_groups', 1, 1, 1)]),
    Case('members', {'server_group_members': 1},
         lambda world: world.boot(hints={'group': world.group}),
         'Quota exceeded, too many servers in group', [('server_group_members', 1, 1, 1)]),
    Case('members, two at once', {'server_group_members': 2},
         lambda world: world.boot(hints={'group': world.group}, min_count=2),
         'Quota exceeded, too many servers in group', [('server_group_members', 2, 1, 2)]),
]  # fmt: skip
CASES = [*SERVERS, *METADATA, *FILES, *OTHERS]
