"""The demo cloud as its user sees it: through the openstack client."""

import os
import pathlib
import subprocess

import pytest

from kilonova.tests.integration.processes import wait_for

ROOT = pathlib.Path(os.environ.get('KILONOVA_DEMO_DIR') or '/var/lib/kilonova-demo')
SECONDS = 300
NEEDS_DEMO = pytest.mark.usefixtures('demo_cloud')
"""With a Cinder, if it is made for the test; a cloud that runs is taken as it is."""


def openstack(*words: str) -> str:
    done = subprocess.run(
        [str(ROOT / 'bin/openstack'), *words],
        env={
            'PATH': '/usr/bin:/bin',
            'OS_CLOUD': 'kilonova',
            'OS_CLIENT_CONFIG_FILE': str(ROOT / 'etc/clouds.yaml'),
        },
        text=True,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def create(name: str, *words: str) -> None:
    openstack(
        'server', 'create', '--image', 'kilonova-guest', '--flavor', 'm1.micro',
        '--network', 'private', *words, '--wait', name,
    )  # fmt: skip


def delete(name: str) -> None:
    openstack('server', 'delete', '--wait', name)


def log(server: str) -> str:
    return openstack('console', 'log', 'show', server)


def ready(server: str, times: int = 1) -> str:
    """Wait until the guest has booted that often; return its console log."""
    wait_for('the guest', lambda: log(server).count('lab-guest: ready') >= times, SECONDS, 1)
    return log(server)
