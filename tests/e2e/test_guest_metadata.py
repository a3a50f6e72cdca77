"""A guest that boots reads who it is: through Neutron's metadata agent, and from a config drive.

Takes the demo cloud that runs (``make demo``), or makes one.
"""

import hashlib
import json
import pathlib
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.tests.e2e import client

pytestmark = [pytest.mark.e2e, client.NEEDS_DEMO]

SCRIPT = """#!/bin/sh
url=http://169.254.169.254
ask() { wget -q -O - "$@" 2>&1; }
echo "versions: $(ask $url/ | tr '\\n' ' ')"
echo "openstack: $(ask $url/openstack/ | tr '\\n' ' ')"
echo "documents: $(ask $url/openstack/latest/ | tr '\\n' ' ')"
echo "listing: $(ask $url/latest/meta-data/ | tr '\\n' ' ')"
echo "hostname: $(ask $url/latest/meta-data/local-hostname)"
echo "key: $(ask $url/latest/meta-data/public-keys/0/openssh-key)"
echo "disk: $(ask $url/latest/meta-data/block-device-mapping/root)"
echo "nothing: $(ask $url/latest/meta-data/nothing)"
echo "outside: $(ask $url/openstack/../../etc/passwd)"
echo "forged: $(ask --header 'X-Instance-ID: VICTIM' --header 'X-Tenant-ID: PROJECT' \\
    --header 'X-Instance-ID-Signature: 0' $url/openstack/latest/meta_data.json)"
echo "moved: $(ask --header 'X-Forwarded-For: 10.0.0.1' $url/openstack/latest/meta_data.json)"
echo "password: $(ask $url/openstack/latest/password)"
echo "stored: $(ask --post-data sealed $url/openstack/latest/password)"
echo "password now: $(ask $url/openstack/latest/password)"
echo "stored again: $(ask --post-data other $url/openstack/latest/password)"
echo "drive: $(cat /mnt/config/openstack/latest/vendor_data2.json)"
"""


class Guest:
    """One server, and what it has printed."""

    def __init__(self, name: str, script: str, folder: pathlib.Path) -> None:
        self.name, self.script = name, script
        path = folder / 'user-data'
        path.write_text(script)
        client.create(
            name, '--use-config-drive', '--property', 'role=web', '--key-name', 'demo',
            '--user-data', str(path),
        )  # fmt: skip
        self.shown: dict[str, Any] = json.loads(
            client.openstack('server', 'show', '-f', 'json', name)
        )

    def said(self, what: str) -> str:
        """Return what the script has printed of something, last."""
        lines = re.findall(rf'lab-guest: user_data: {what}: ?(.*?)\r?\n', client.log(self.name))
        assert lines, what
        return str(lines[-1])

    def told(self, way: str) -> dict[str, Any]:
        (text,) = re.findall(rf'lab-guest: metadata_{way}=(.*?)\r?\n', client.log(self.name))
        found: dict[str, Any] = json.loads(text)
        return found


@pytest.fixture(scope='module')
def victim() -> Iterator[str]:
    name = f'victim-{uuid.uuid4().hex[:6]}'
    client.create(name)
    yield str(json.loads(client.openstack('server', 'show', '-f', 'json', name))['id'])
    client.delete(name)


@pytest.fixture(scope='module')
def guest(victim: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    name = f'told-{uuid.uuid4().hex[:6]}'
    made = Guest(name, SCRIPT.replace('VICTIM', victim), tmp_path_factory.mktemp('guest'))
    try:
        client.ready(name)
        yield made
    finally:
        client.delete(name)


def test_both_ways_say_the_same(guest: Guest) -> None:
    over_http, on_drive = guest.told('http'), guest.told('drive')
    for told in (over_http, on_drive):
        assert told['uuid'] == guest.shown['id'] and told['project_id'] == guest.shown['project_id']
        assert (told['name'], told['hostname']) == (guest.name, f'{guest.name}.novalocal')
        assert told['meta'] == {'role': 'web'} and set(told['public_keys']) == {'demo'}
        assert told['availability_zone'] == 'nova' and told['launch_index'] == 0
    # A seed is never told twice; the password is on the drive alone.
    assert over_http.pop('random_seed') != on_drive.pop('random_seed')
    assert on_drive.pop('admin_pass') and 'admin_pass' not in over_http
    assert over_http == on_drive
    log = client.log(guest.name)
    digest = hashlib.sha256(guest.script.encode()).hexdigest()
    for way in ('http', 'drive'):
        size = len(guest.script.encode())
        assert f'user_data_{way} bytes={size} sha256={digest}' in log
    networks = re.findall(r'lab-guest: network_data_(?:http|drive)=(.*?)\r?\n', log)
    assert len(networks) == 2 and networks[0] == networks[1]


def test_what_the_agent_passes_on(guest: Guest) -> None:
    versions = guest.said('versions').split()
    assert (versions[0], versions[-1]) == ('1.0', 'latest')
    assert guest.said('openstack').split()[-2:] == ['2025-04-04', 'latest']
    assert guest.said('documents').split() == [
        'meta_data.json', 'user_data', 'password', 'vendor_data.json', 'network_data.json',
        'vendor_data2.json',
    ]  # fmt: skip
    listing = guest.said('listing').split()
    assert {'ami-id', 'public-keys/', 'placement/', 'block-device-mapping/'} <= set(listing)
    assert guest.said('hostname') == f'{guest.name}.novalocal'
    assert guest.said('key').startswith(('ssh-', 'ecdsa-'))
    assert guest.said('disk') == '/dev/vda'
    assert '404' in guest.said('nothing')
    assert re.search('40[04]', guest.said('outside')) and 'root:' not in guest.said('outside')
    assert json.loads(guest.said('drive')) == {'static': {}}


def test_who_forges_is_told_about_itself(guest: Guest, victim: str) -> None:
    """What a guest says of itself is overwritten on the way: it has no secret to sign with."""
    answer = guest.said('forged')
    assert victim not in answer
    assert json.loads(answer)['uuid'] == guest.shown['id']
    assert 'wget: server returned error' in guest.said('moved'), 'two addresses are none'


def test_a_password_is_stored_once(guest: Guest) -> None:
    assert (guest.said('password'), guest.said('stored')) == ('', '')
    assert guest.said('password now') == 'sealed'
    assert '409' in guest.said('stored again')


def test_a_rebuilt_guest_has_a_new_drive(guest: Guest, tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'new'
    path.write_text('#!/bin/sh\necho "drive: anew $(cat /mnt/config/openstack/latest/user_data)"\n')
    client.openstack(
        '--os-compute-api-version', '2.90', 'server', 'rebuild', '--user-data', str(path),
        '--image', 'kilonova-guest', '--property', 'role=database', '--wait', guest.name,
    )  # fmt: skip
    log = client.ready(guest.name)
    last = log[log.rindex('lab-guest: boot=') :]
    (text,) = re.findall(r'lab-guest: metadata_drive=(.*?)\r?\n', last)
    assert json.loads(text)['meta'] == {'role': 'database'}
    assert 'user_data: drive: anew #!/bin/sh' in last
