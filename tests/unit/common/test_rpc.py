"""RPC over the in-memory bus: what crosses, what is refused, what is never sent."""

import datetime
import logging
import sys
import threading
import time
import types
import uuid
from typing import Annotated, Any

import msgspec
import oslo_messaging as messaging
import pytest
from oslo_config import cfg
from oslo_messaging._drivers import amqpdriver
from oslo_messaging._drivers import common as driver_common
from oslo_messaging._metrics import client as metrics
from oslo_messaging._tracing import client as tracing

from kilonova.common import exception, rpc
from kilonova.common.context import RequestContext


class Thing(msgspec.Struct):
    name: str
    made: datetime.datetime
    size: int = 3


class Interface(rpc.Interface):
    TOPIC, VERSION = 'things', '1.1'

    @rpc.call()
    def get(self, context: RequestContext, name: str, limit: int | None = None) -> Thing:
        """Return a thing."""

    @rpc.call()
    def who(self, context: RequestContext) -> dict[str, Any]:
        """Return the caller."""

    @rpc.call(timeout=0.3)
    def sleep(self, context: RequestContext) -> None:
        """Answer too late."""

    @rpc.call(since='1.1')
    def newer(self, context: RequestContext) -> str:
        """A method that older receivers do not have."""

    @rpc.call()
    def grown(
        self, context: RequestContext, mode: Annotated[str | None, rpc.Since('1.1')] = None
    ) -> str:
        """A method that got an argument."""

    @rpc.cast()
    def note(self, context: RequestContext, thing: Thing) -> None:
        """Take a note."""


class Endpoint:
    def __init__(self) -> None:
        self.notes: list[Thing] = []
        self.noted = threading.Event()
        self.leave = threading.Event()
        self.context: RequestContext | None = None

    def get(self, context: RequestContext, name: str, limit: int | None = None) -> Thing:
        if name == 'missing':
            raise exception.InstanceNotFound(instance_id=name)
        if name == 'broken':
            raise KeyError('a bug')
        return Thing(name, datetime.datetime(2026, 1, 2, 3, 4, 5), limit or 3)

    def who(self, context: RequestContext) -> dict[str, Any]:
        self.context = context
        return {'user': context.user_id, 'roles': context.roles, 'request': context.request_id}

    def sleep(self, context: RequestContext) -> None:
        self.leave.wait(5)

    def newer(self, context: RequestContext) -> str:
        return 'new'

    def grown(self, context: RequestContext, mode: str | None = None) -> str:
        return mode or 'none'

    def note(self, context: RequestContext, thing: Thing) -> None:
        self.notes.append(thing)
        self.noted.set()


@pytest.fixture
def transport():
    conf = cfg.ConfigOpts()
    # The library registers these on the global configuration alone.
    conf.register_opts(tracing.oslo_messaging_tracing, group='oslo_messaging_tracing')
    conf.register_opts(metrics.oslo_messaging_metrics, group='oslo_messaging_metrics')
    conf([], project='nova', default_config_files=[], default_config_dirs=[])
    made = rpc.get_transport(conf, 'fake://')
    yield made
    made.cleanup()


@pytest.fixture
def endpoint(transport):
    made = Endpoint()
    server = rpc.serve(transport, Interface, [made], 'here')
    yield made
    made.leave.set()
    server.stop()
    server.wait()


@pytest.fixture
def client(transport, endpoint):
    return rpc.client_for(Interface, transport)


@pytest.fixture
def context():
    return RequestContext(
        user_id='alice',
        project_id='p',
        roles=['member'],
        auth_token='sesame-' + uuid.uuid4().hex,
        service_catalog=[{'type': 'compute', 'name': 'catalog-entry'}],
        overwrite=False,
    )


def test_values_cross_typed(client, context):
    assert client.get(context, 'x', limit=7) == Thing(
        'x', datetime.datetime(2026, 1, 2, 3, 4, 5), 7
    )


def test_a_cast_does_not_wait(client, context, endpoint):
    thing = Thing('x', datetime.datetime(2026, 1, 1))
    assert client.note(context, thing) is None
    assert endpoint.noted.wait(5)
    assert endpoint.notes == [thing]


def test_a_host_is_addressed(client, context):
    assert client.at('here').get(context, 'x').name == 'x'
    with pytest.raises(TypeError):
        Interface().at('here')


def test_every_server_hears_a_fanout(client, context, endpoint):
    client.fanout().note(context, Thing('x', datetime.datetime(2026, 1, 1)))
    assert endpoint.noted.wait(5)


@pytest.mark.parametrize('arguments', ({}, {'name': 'x', 'nonsense': 1}))
def test_a_wrong_argument_is_the_callers_error(client, context, arguments):
    with pytest.raises(TypeError):
        client.get(context, **arguments)


def test_an_argument_of_a_newer_caller_is_left_out(transport, endpoint, context):
    target = messaging.Target(topic='things', version='1.0')
    newer = messaging.get_rpc_client(transport, target, serializer=rpc._Serializer())
    assert newer.call(context, 'get', name='x', colour='red')['name'] == 'x'


def test_a_value_of_the_wrong_type_is_refused(client, context):
    with pytest.raises(Exception, match='limit|int'):
        client.get(context, 'x', limit='many')


def test_errors_cross_by_name(client, context):
    with pytest.raises(exception.InstanceNotFound) as caught:
        client.get(context, 'missing')
    assert caught.value.code == 404
    assert str(caught.value).splitlines()[0] == 'Instance missing could not be found.'
    assert 'Traceback' not in caught.value.message


def test_users_are_not_told_where_an_error_came_from(client, context, monkeypatch):
    """The in-memory bus hands the error itself on; a broker does this."""

    def call(*args: Any, **kwargs: Any) -> None:
        try:
            raise exception.InstanceNotFound(instance_id='missing')
        except exception.InstanceNotFound:
            wire = driver_common.serialize_remote_exception(sys.exc_info())
        raise driver_common.deserialize_remote_exception(wire, rpc.ALLOWED_REMOTE)

    monkeypatch.setattr(client._client, 'call', call)
    with pytest.raises(exception.InstanceNotFound) as caught:
        client.get(context, 'missing')
    assert str(caught.value) == 'Instance missing could not be found.'
    assert type(caught.value) is exception.InstanceNotFound


def test_a_bug_does_not_look_like_our_error(client, context):
    with pytest.raises(Exception, match='a bug') as caught:
        client.get(context, 'broken')
    assert not isinstance(caught.value, exception.KilonovaError)


def test_no_answer_in_time_is_unavailable(client, context):
    with pytest.raises(exception.ServiceUnavailable, match='did not answer sleep in time'):
        client.sleep(context)


def test_the_context_comes_along(client, context, endpoint):
    assert client.who(context) == {
        'user': 'alice',
        'roles': ['member'],
        'request': context.request_id,
    }
    assert endpoint.context.auth_token == context.auth_token
    assert endpoint.context.service_catalog == []


def test_no_token_in_logs(client, context, caplog):
    caplog.set_level(logging.DEBUG)
    client.who(context)
    with pytest.raises(exception.InstanceNotFound):
        client.get(context, 'missing')
    assert context.auth_token not in caplog.text
    assert 'catalog-entry' not in caplog.text


def test_a_capped_client_refuses_what_the_receiver_lacks(transport, endpoint, context):
    capped = rpc.client_for(Interface, transport, version_cap='1.0')
    with pytest.raises(
        exception.DaemonTooOld, match='newer needs version 1.1 .* 1.0 is the newest'
    ):
        capped.newer(context)
    with pytest.raises(exception.DaemonTooOld):
        capped.grown(context, 'fast')
    assert capped.grown(context) == 'none'
    assert capped.at('here').get(context, 'x').name == 'x'


@pytest.mark.parametrize('cap', (None, '1.1', '1.10', lambda: '1.1'))
def test_a_cap_that_is_new_enough(transport, endpoint, context, cap):
    client = rpc.client_for(Interface, transport, version_cap=cap)
    assert client.newer(context) == 'new'
    assert client.grown(context, 'fast') == 'fast'


def test_each_method_needs_one_endpoint(transport):
    with pytest.raises(RuntimeError, match='has 2 endpoints'):
        rpc.serve(transport, Interface, [Endpoint(), Endpoint()], 'here')


class Silent:
    """A connection to a broker on which nothing comes in; notes how long was waited."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    def declare_direct_consumer(self, queue: str, callback: Any) -> None:
        pass

    def stop_consuming(self) -> None:
        pass

    def consume(self, timeout: float) -> None:
        self.waited.append(timeout)
        time.sleep(0.001)
        raise driver_common.Timeout()


def test_a_loop_that_waits_for_messages_soon_sees_that_it_is_to_end() -> None:
    """Else each of them holds up a daemon that stops, for seconds."""
    transport = rpc.get_transport(cfg.CONF, 'rabbit://nobody@127.0.0.1:1/')
    transport.cleanup()
    replies, requests = Silent(), Silent()
    waiter = amqpdriver.ReplyWaiter('queue', replies, [])
    listener = amqpdriver.RpcAMQPListener(types.SimpleNamespace(prefetch_size=1), requests)
    thread = threading.Thread(target=listener.poll)
    thread.start()
    while min(len(replies.waited), len(requests.waited)) < 50:
        time.sleep(0.01)
    waiter.stop()
    listener.stop()
    thread.join()
    for connection in (replies, requests):
        assert connection.waited[0] < 0.01
        assert max(connection.waited) == connection.waited[-1] == 0.5
