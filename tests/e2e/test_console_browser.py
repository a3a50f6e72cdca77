"""A user's way to a server's screen: the API's URL in a browser, and keys that reach the guest.

Needs Chromium; takes the demo cloud that runs (``make demo``), or makes one.  Screenshots stay
in ``$KILONOVA_ARTEFACTS``, else in ``/var/tmp/kilonova-e2e``.
"""

import json
import os
import pathlib
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.tests.e2e import browser, client
from kilonova.tests.integration.processes import wait_for

ARTEFACTS = pathlib.Path(os.environ.get('KILONOVA_ARTEFACTS') or '/var/tmp/kilonova-e2e')
# How many different colours tell a screen with text from one that is still black, or from none.
CANVAS = """
(() => {
  const canvas = document.querySelector('canvas');
  if (!canvas || !canvas.width) return null;
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let lit = 0;
  for (let i = 0; i < data.length; i += 4) lit += (data[i] + data[i + 1] + data[i + 2] > 200);
  return lit;
})()
"""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(browser.PROGRAM is None, reason='chromium is not installed'),
    client.NEEDS_DEMO,
]


def url(server: str, kind: str) -> str:
    found: dict[str, Any] = json.loads(
        client.openstack('console', 'url', 'show', kind, '-f', 'json', server)
    )
    return str(found['url'])


@pytest.fixture(scope='module')
def server() -> Iterator[str]:
    name = f'console-{uuid.uuid4().hex[:6]}'
    client.create(name)
    try:
        client.ready(name)
        yield name
    finally:
        client.delete(name)


@pytest.fixture
def page() -> Iterator[browser.Browser]:
    ARTEFACTS.mkdir(exist_ok=True)
    made = browser.Browser()
    yield made
    made.close()


@pytest.mark.parametrize('kind', ['--novnc', '--spice'])
def test_a_user_sees_the_screen_and_types(server: str, page: browser.Browser, kind: str) -> None:
    page.open(url(server, kind))
    name = kind.strip('-')
    try:
        wait_for('a picture', lambda: (page.run(CANVAS) or 0) > 500, 90, 0.5)
        page.screenshot(ARTEFACTS / f'{name}-before.png')
        before = page.run(CANVAS)
        page.click(400, 300)
        word = f'seen{uuid.uuid4().hex[:8]}'
        page.type(f'echo {word} > /dev/ttyS0\n')
        wait_for('the word on the serial log', lambda: word in client.log(server), 60, 1)
        wait_for('the word on the screen', lambda: page.run(CANVAS) != before, 30, 0.5)
    finally:
        page.screenshot(ARTEFACTS / f'{name}-after.png')


def test_a_url_is_good_for_one_server_as_long_as_it_lives(page: browser.Browser) -> None:
    name = f'gone-{uuid.uuid4().hex[:6]}'
    client.create(name)
    address = url(name, '--novnc')
    page.open(address)
    wait_for('a picture', lambda: (page.run(CANVAS) or 0) > 500, 90, 0.5)
    client.delete(name)
    wait_for('the end', lambda: 'connected to' not in status(page), 60, 0.5)
    page.screenshot(ARTEFACTS / 'deleted.png')
    page.open('about:blank')
    page.open(address)
    wait_for('a refusal', lambda: 'wrong' in status(page), 60, 0.5)
    assert not page.run(CANVAS)


def status(page: browser.Browser) -> str:
    """Return what noVNC says of the connection."""
    return str(page.run("document.getElementById('status').innerText") or '').lower()
