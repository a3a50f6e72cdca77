"""What guests, and who pretends to be one, send to a served metadata API: nothing ends it."""

import os
import subprocess
import sys

import pytest

_SCRIPT = """
import sys
from kilonova.common import concurrency
concurrency.choose(sys.argv[1])
import hashlib, hmac, socket, time
from kilonova.api import server
from kilonova.api.metadata import app
from kilonova.tests.unit.api.api import make_conf
from kilonova.tests.unit.api.fake_servers import FakeServers, make_server

conf = make_conf()
conf.set_override('metadata_listen_port', 0)
conf.set_override('metadata_listen', '127.0.0.1')
conf.set_override('client_socket_timeout', 1, 'wsgi')
conf.set_override('service_metadata_proxy', True, 'neutron')
conf.set_override('metadata_proxy_shared_secret', 'shared', 'neutron')
guest = make_server(1)
fake = FakeServers(guest)
(metadata,) = server.serve(conf, {'metadata': app.make_metadata_app(conf, fake)})
signature = hmac.new(b'shared', guest.uuid.encode(), hashlib.sha256).hexdigest()
who = (f'Host: x\\r\\nX-Instance-ID: {guest.uuid}\\r\\nX-Tenant-ID: {guest.project_id}\\r\\n'
       f'X-Instance-ID-Signature: {signature}\\r\\n')

def send(request, ends=True):
    with socket.create_connection(('127.0.0.1', metadata.port), timeout=10) as sock:
        answer = b''
        try:
            sock.sendall(request)
            if ends:
                sock.shutdown(socket.SHUT_WR)
            while True:
                more = sock.recv(65536)
                if not more:
                    break
                answer += more
        except ConnectionError:  # it did not even want to read all of it
            pass
        first = answer.split(b'\\r\\n')[0].split()
        # What is no HTTP gets a page without a status line: the answer of HTTP 0.9.
        return int(first[1]) if first and first[0].startswith(b'HTTP/') else 0

def get(path, more='', verb='GET', body=b''):
    head = f'{verb} {path} HTTP/1.1\\r\\nConnection: close\\r\\n{who}{more}\\r\\n'
    return send(head.encode('latin-1') + body)

def is_well():
    assert get('/openstack/latest/meta_data.json') == 200

is_well()
expected = [
    (get('/openstack/../../etc/passwd'), {404, 400}),
    (get('/openstack/%2e%2e/%2e%2e/etc/passwd'), {404}),
    (get('/openstack/latest/../latest/meta_data.json'), {200, 400}),
    (get('/openstack/%00'), {404, 400}),
    (get('/openstack/%ff%fe'), {404, 400}),
    (get('/openstack/9999-99-99/meta_data.json'), {404}),
    (get('/latest/meta-data/' + 'a/' * 5000), {404, 400, 414}),
    (get('/' + 'x' * 100000), {400, 404, 413, 414, 0}),
    (get('/openstack', 'X-Large: ' + 'x' * 200000 + '\\r\\n'), {400, 413, 431, 0}),
    (get('/openstack', 'X: y\\r\\n' * 20000), {200, 400, 413, 431, 0}),
    (get('/openstack', 'no colon\\r\\n'), {400, 200}),
    (get('/openstack', verb='DELETE'), {405}),
    (get('/openstack/latest/password', 'Content-Length: 99999999\\r\\n', 'POST', b'x' * 2000),
     {400, 413, 0}),
    (get('/openstack/latest/password', 'Content-Length: 2000\\r\\n', 'POST', b'x' * 2000),
     {400, 413}),
    (get('/openstack/latest/password', 'Content-Length: -1\\r\\n', 'POST', b'x'), {400, 411, 413}),
    (get('/openstack/latest/password', 'Content-Length: many\\r\\n', 'POST', b'x'), {400, 411}),
    (get('/openstack/latest/password',
         'Transfer-Encoding: chunked\\r\\n', 'POST', b'zz\\r\\nx\\r\\n'), {200, 400, 413, 0}),
    (send(b'\\x16\\x03\\x01\\x02\\x00\\x01\\x00'), {400, 0}),
    (send(b'GET\\r\\n\\r\\n'), {400, 0}),
    (send(b'\\xff\\xfe\\x00\\r\\n\\r\\n'), {400, 0}),
]
wrong = [(n, status, allowed) for n, (status, allowed) in enumerate(expected)
         if status not in allowed]
assert not wrong, wrong
assert 'set_server_password' not in fake.names()
is_well()

# Who is slow holds nobody up, and is not waited for.
slow = [socket.create_connection(('127.0.0.1', metadata.port), timeout=20) for _ in range(40)]
for sock in slow[:20]:
    sock.sendall(b'GET /openstack HTTP/1.1\\r\\nX-Slow: ')
started = time.monotonic()
is_well()
assert time.monotonic() - started < 8, 'others had to wait'
for sock in slow:
    sock.settimeout(10)
    try:
        while sock.recv(65536):
            pass
    except ConnectionResetError:
        pass
is_well()
metadata.stop()
print('well')
"""


@pytest.mark.parametrize('backend', ['eventlet', 'threading'])
def test_the_service_lives_on(backend: str) -> None:
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', _SCRIPT, backend],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, 'PYTHONWARNINGS': 'ignore'},
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == 'well'
