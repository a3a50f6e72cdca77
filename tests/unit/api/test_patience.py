"""Requests that trickle in are ended, others are not: under both backends, plain and with TLS."""

import os
import pathlib
import subprocess
import sys

import pytest

from kilonova.tests.integration import certificates

_SCRIPT = """
import os, sys
from kilonova.common import concurrency
concurrency.choose(sys.argv[1])
import socket, ssl, threading, time, webob
from kilonova.api import pipeline, server
from kilonova.tests.unit.api.api import make_conf

server._SLOWEST = 1.5
conf = make_conf()
conf.set_override('metadata_listen_port', 0)
conf.set_override('metadata_listen', '127.0.0.1')
if len(sys.argv) > 2:
    conf.set_override('enabled_ssl_apis', ['metadata'])
    conf.set_override('ssl_cert_file', sys.argv[2], 'wsgi')
    conf.set_override('ssl_key_file', sys.argv[3], 'wsgi')

def app(environ, start_response):
    body = webob.Request(environ).body
    start_response('200 OK', [('Content-Length', str(len(body)))])
    return [body]

(served,) = server.serve(conf, {'metadata': pipeline.SizeLimit(app, conf)})

def connect():
    sock = socket.create_connection(('127.0.0.1', served.port), timeout=10)
    if len(sys.argv) > 2:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sock = context.wrap_socket(sock)
    return sock

def status(sock):
    try:
        words = sock.recv(65536).split()
    except OSError:
        return 0
    return int(words[1]) if words else 0

def trickle(text):
    '''Send a byte at a time; return the status and when it came.'''
    started = time.monotonic()
    with connect() as sock:
        sock.settimeout(0.1)
        for number in range(10 * len(text)):
            try:
                sock.sendall(text[number % len(text)].encode() if number < len(text) else b'')
                words = sock.recv(65536).split()
            except TimeoutError:
                continue
            except OSError:
                words = []
            return int(words[1]) if words else 0, time.monotonic() - started
    return None, 0

HEAD = 'GET / HTTP/1.1\\r\\nHost: x\\r\\n'
POST = HEAD.replace('GET', 'POST')
found = {}
def note(name, *text):
    found[name] = trickle(*text)
cases = {
    'head': HEAD + 'X-Slow: ' + 'y' * 200,
    'line': 'GET /' + 'x' * 200,
    'body': POST + 'Content-Length: 500\\r\\n\\r\\n' + 'z' * 200,
}
threads = [threading.Thread(target=note, args=case) for case in cases.items()]
silent, kept = connect(), connect()
kept.sendall((HEAD + '\\r\\n').encode())
assert status(kept) == 200
for thread in threads:
    thread.start()
with connect() as other:
    other.sendall((POST + 'Content-Length: 2\\r\\n\\r\\nab').encode())
    assert status(other) == 200
for thread in threads:
    thread.join(40)
for name, (got, after) in found.items():
    assert got == 408, (name, found)
    assert 1.2 < after < 15, (name, found)
silent.settimeout(15)
assert status(silent) in (0, 408)
# Between two requests a connection may rest.
if sys.argv[1] == 'eventlet':
    kept.sendall((HEAD + '\\r\\n').encode())
    assert status(kept) == 200
with connect() as other:
    other.sendall((HEAD + '\\r\\n').encode())
    assert status(other) == 200
print('well', flush=True)
os._exit(0)  # the server's threads would go on
"""


@pytest.mark.parametrize('is_secret', [False, True])
@pytest.mark.parametrize('backend', ['eventlet', 'threading'])
def test_slow_requests(backend: str, is_secret: bool, tmp_path: pathlib.Path) -> None:
    files = [str(path) for path in certificates.make(tmp_path)[1:]] if is_secret else []
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', _SCRIPT, backend, *files],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, 'PYTHONWARNINGS': 'ignore'},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == 'well'
