"""The built-in web server, under both backends, plain and with TLS."""

import os
import pathlib
import subprocess
import sys

import pytest

_SCRIPT = """
import sys
from kilonova.common import concurrency
concurrency.choose(sys.argv[1])
import http.client, ssl, threading, time, webob
from kilonova.api import pipeline, server
from kilonova.tests.unit.api.api import make_conf

conf = make_conf()
for name in ('osapi_compute_listen_port', 'metadata_listen_port'):
    conf.set_override(name, 0)
conf.set_override('osapi_compute_listen', '127.0.0.1')
conf.set_override('metadata_listen', '127.0.0.1')
if len(sys.argv) > 2:
    conf.set_override('enabled_ssl_apis', ['osapi_compute'])
    conf.set_override('ssl_cert_file', sys.argv[2], 'wsgi')
    conf.set_override('ssl_key_file', sys.argv[3], 'wsgi')

def echo(environ, start_response):
    request = webob.Request(environ)
    start_response('200 OK', [('Content-Length', str(len(request.body)))])
    return [request.body]

echo = pipeline.SizeLimit(echo, conf)

def app(environ, start_response):
    if environ['REQUEST_METHOD'] == 'POST':
        return echo(environ, start_response)
    time.sleep(0.3 if environ['PATH_INFO'] == '/slow' else 0)
    body = (environ['wsgi.url_scheme'] + environ['PATH_INFO']).encode()
    start_response('200 OK', [('Content-Length', str(len(body)))])
    return [body]

(compute, metadata) = server.serve(conf, {'osapi_compute': app, 'metadata': app})

def get(port, path, scheme='http'):
    if scheme == 'https':
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client = http.client.HTTPSConnection('127.0.0.1', port, timeout=5, context=context)
    else:
        client = http.client.HTTPConnection('127.0.0.1', port, timeout=5)
    client.request('GET', path)
    return client.getresponse().read().decode()

scheme = 'https' if len(sys.argv) > 2 else 'http'
assert get(compute.port, '/a', scheme) == scheme + '/a'
assert get(metadata.port, '/b') == 'http/b'
client = http.client.HTTPConnection('127.0.0.1', metadata.port, timeout=5)
client.request('POST', '/', iter([b'ab', b'cd']))  # without a length: chunked
assert client.getresponse().read() == b'abcd'
answers = []
threads = [
    threading.Thread(target=lambda: answers.append(get(metadata.port, '/slow'))) for _ in range(5)
]
start = time.monotonic()
for thread in threads:
    thread.start()
time.sleep(0.1)
metadata.stop()
for thread in threads:
    thread.join()
assert answers == ['http/slow'] * 5, answers  # what was in flight is answered
assert time.monotonic() - start < 5
compute.stop()
try:
    get(compute.port, '/a', scheme)
except OSError:
    print('stopped')
"""


def _run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', _SCRIPT, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, 'PYTHONWARNINGS': 'ignore'},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize('backend', ['eventlet', 'threading'])
def test_serves_and_drains(backend: str) -> None:
    assert _run(backend) == 'stopped\n'


@pytest.mark.parametrize('backend', ['eventlet', 'threading'])
def test_tls(backend: str, tmp_path: pathlib.Path) -> None:
    from kilonova.api import keys

    private, certificate, _fingerprint = keys.generate('x509', 'server')
    (tmp_path / 'key.pem').write_text(private)
    (tmp_path / 'cert.pem').write_text(certificate)
    assert _run(backend, str(tmp_path / 'cert.pem'), str(tmp_path / 'key.pem')) == 'stopped\n'
