"""What several processes of the metadata API know together."""

import hashlib
import hmac
import multiprocessing
import os
import stat
import time

import pytest
import webob
from oslo_cache import core as oslo_cache

from kilonova.api.metadata import app, remembered
from kilonova.tests.unit.api.api import make_conf
from kilonova.tests.unit.api.fake_servers import FakeServers, make_server

SECRET = 'shared'


def configured(tmp_path, workers=4, **cache):
    conf = make_conf()
    conf.set_override('service_metadata_proxy', True, 'neutron')
    conf.set_override('metadata_proxy_shared_secret', SECRET, 'neutron')
    conf.set_override('metadata_workers', workers)
    conf.set_override('state_path', str(tmp_path))
    oslo_cache.configure(conf)
    for name, value in cache.items():
        conf.set_override(name, value, 'cache')
    return conf


def sent(
    application,
    server,
    path='/latest/meta-data/instance-id',
    method='GET',
    body=b'',
    address='10.0.0.5',
):
    """Return the answer to what a guest's agent sends."""
    request = webob.Request.blank(path, method=method)
    request.body = body
    signed = hmac.new(SECRET.encode(), server.uuid.encode(), hashlib.sha256).hexdigest()
    request.headers.update({
        'X-Instance-ID': server.uuid, 'X-Tenant-ID': server.project_id,
        'X-Instance-ID-Signature': signed, 'X-Forwarded-For': address,
    })  # fmt: skip
    return request.get_response(application)


def ask(*arguments, **more):
    response = sent(*arguments, **more)
    assert response.status_int == 200, response.text
    return response.text


@pytest.fixture(params=['files', 'oslo.cache'])
def stores(request, tmp_path):
    """Stores of two processes."""
    if request.param == 'files':
        return [remembered.store(configured(tmp_path)) for _ in range(2)]
    conf = configured(tmp_path, enabled=True, backend='dogpile.cache.dbm')
    path = tmp_path / 'cache.dbm'
    conf.set_override('backend_argument', [f'filename:{path}'], 'cache')
    return [remembered.store(conf) for _ in range(2)]


def test_what_one_learns_the_other_knows(stores):
    first, second = stores
    assert first.get('a') is None
    first.put('a', b'x')
    assert second.get('a') == b'x'
    second.put('a', b'y')
    assert first.get('a') == b'y'
    first.drop('a')
    first.drop('a')
    assert second.get('a') is None


def test_two_applications_are_one_question_for_each_guest(stores, tmp_path):
    """Whichever process is asked; a password that one has stored is shown by the other."""
    servers = [make_server(number) for number in range(1, 101)]
    fake = FakeServers(*servers)
    conf = configured(tmp_path)
    both = [app.MetadataApp(conf, fake, known=store) for store in stores]
    for server in servers:
        for number in range(6):
            ask(both[number % 2], server)
    assert fake.names() == ['get_server'] * 100

    path = '/openstack/latest/password'
    assert ask(both[0], servers[0], path) == ''
    ask(both[1], servers[0], path, 'POST', b'secret')
    assert ask(both[0], servers[0], path) == 'secret'


def test_what_is_kept_is_for_this_user_alone_and_not_for_long(tmp_path):
    now = [1000.0]
    store = remembered.Files(str(tmp_path / 'kept'), 15, clock=lambda: now[0])
    store.put('a', b'secret')
    assert stat.S_IMODE((tmp_path / 'kept').stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / 'kept' / 'a').stat().st_mode) == 0o600
    now[0] += 14.9
    assert store.get('a') == b'secret'
    now[0] += 0.2
    assert store.get('a') is None
    now[0] = 990.0
    assert store.get('a') is None, 'the clock was set back'
    now[0] = 1100.0
    store.put('b', b'x')
    assert sorted(os.listdir(tmp_path / 'kept')) == ['.locks', 'b']


def test_what_is_not_there_or_cannot_be_written(tmp_path, monkeypatch):
    store = remembered.Files(str(tmp_path / 'kept'), 15)
    monkeypatch.setattr(os, 'rename', lambda *_: (_ for _ in ()).throw(OSError('full')))
    store.put('a', b'x')
    assert store.get('a') is None
    (tmp_path / 'file').write_text('')
    found = remembered.store(configured(tmp_path / 'file'))
    assert isinstance(found, remembered.Memory)
    assert isinstance(remembered.store(configured(tmp_path, workers=1)), remembered.Memory)


def test_a_cache_that_is_away_costs_a_call_and_no_answer(tmp_path, monkeypatch):
    conf = configured(tmp_path, enabled=True, backend='dogpile.cache.memory')
    fake = FakeServers(make_server(1))
    store = remembered.store(conf)
    assert isinstance(store, remembered.Shared)

    def refuse(*args, **kwargs):
        raise ConnectionRefusedError('memcached is away')

    for name in ('get', 'set', 'delete'):
        monkeypatch.setattr(store._region, name, refuse)
    application = app.MetadataApp(conf, fake, known=store)
    for _ in range(2):
        assert ask(application, make_server(1)) == 'i-00000001'
    ask(application, make_server(1), '/openstack/latest/password', 'POST', b'secret')
    assert fake.names().count('get_server') == 3


def _worker(folder, uuids, start, asked):
    """One process of several: asks for each guest, and tells how often it had to."""

    class Slow(FakeServers):
        def get_server(self, *args, **kwargs):
            time.sleep(0.02)
            return super().get_server(*args, **kwargs)

    servers = [make_server(number) for number in uuids]
    fake = Slow(*servers)
    store = remembered.Files(folder, 60)
    application = app.MetadataApp(configured(folder), fake, known=store)
    start.wait(20)
    for server in servers:
        for _ in range(3):
            ask(application, server)
    asked.put(len(fake.calls))


def test_processes_that_are_asked_at_once_ask_once(tmp_path):
    processes = multiprocessing.get_context('fork')
    start, asked = processes.Event(), processes.Queue()
    given = (str(tmp_path / 'kept'), range(1, 21), start, asked)
    workers = [processes.Process(target=_worker, args=given) for _ in range(3)]
    for worker in workers:
        worker.start()
    start.set()
    counts = [asked.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(20)
    assert sum(counts) == 20, counts


def test_who_waits_too_long_asks_himself(tmp_path, monkeypatch):
    monkeypatch.setattr(remembered, '_PATIENCE', 0.05)
    processes = multiprocessing.get_context('fork')
    folder = str(tmp_path / 'kept')
    locked, done = processes.Event(), processes.Event()

    def hold():
        with remembered.Files(folder, 15).alone('a'):
            locked.set()
            done.wait(20)

    holder = processes.Process(target=hold)
    holder.start()
    assert locked.wait(20)
    with remembered.Files(folder, 15).alone('a'):
        assert not done.is_set()
    done.set()
    holder.join(20)


@pytest.mark.parametrize('given', ['../../etc/passwd', 'x' * 36, '..', 'a/b', '%2e%2e', '\x00'])
def test_ids_that_are_none_are_not_asked_for(tmp_path, given):
    fake = FakeServers()
    application = app.MetadataApp(configured(tmp_path), fake)
    with pytest.raises(app.Refusal):
        application._data(given)
    assert fake.calls == []
