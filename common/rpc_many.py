"""Many servers of one interface in one process, on one connection to the broker.

``rpc.serve`` opens a connection for each server, which is right for a host that is one process;
a process that plays a thousand hosts gets their messages over one.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import oslo_messaging as messaging
from oslo_messaging._drivers import base
from oslo_messaging._drivers import common as driver_common
from oslo_messaging.rpc import server as server_module

from kilonova.common import concurrency, rpc

HOST = 'kilonova_host'
"""Where a message says which server it came for."""

Endpoints = Mapping[str, Iterable[object]]
"""By server."""


def serve_many(
    transport: messaging.Transport, interface: type[rpc.Interface], endpoints: Endpoints
) -> list[server_module.RPCServer]:
    """Return started servers: one for all when the broker is RabbitMQ, else one each."""
    if not hasattr(transport._driver, '_get_connection'):
        return [rpc.serve(transport, interface, mine, server) for server, mine in endpoints.items()]
    dispatchers = {
        server: rpc.dispatcher_for(interface, mine) for server, mine in endpoints.items()
    }
    target = messaging.Target(
        topic=interface.TOPIC, server=next(iter(endpoints)), version=interface.VERSION
    )
    started = _Server(
        transport, target, _Dispatcher(dispatchers), executor=concurrency.rpc_executor()
    )
    started.start()
    return [started]


class _Dispatcher(messaging.RPCDispatcher):
    """Hands a message to the endpoints of the server that it came for."""

    def __init__(self, dispatchers: Mapping[str, messaging.RPCDispatcher]) -> None:
        self._by_server = dispatchers
        super().__init__([], None, messaging.LegacyRPCAccessPolicy)

    @property
    def serializer(self) -> Any:
        return next(iter(self._by_server.values())).serializer

    @serializer.setter
    def serializer(self, value: Any) -> None:
        """The dispatchers have their own."""

    def dispatch(self, incoming: Any) -> Any:
        server = incoming.message.pop(HOST, None) or next(iter(self._by_server))
        return self._by_server[server].dispatch(incoming)

    @property
    def servers(self) -> list[str]:
        return list(self._by_server)


class _Server(server_module.RPCServer):
    """Consumes one queue for each server."""

    def _create_listener(self) -> base.PollStyleListenerAdapter:
        from oslo_messaging._drivers import amqpdriver

        driver = self.transport._driver
        connection = driver._get_connection(driver_common.PURPOSE_LISTEN)
        listener = amqpdriver.RpcAMQPListener(driver, connection)
        exchange = driver._get_exchange(self._target)
        for server in self.dispatcher.servers:
            connection.declare_topic_consumer(
                exchange_name=exchange,
                topic=f'{self._target.topic}.{server}',
                callback=_Named(listener, server),
            )
        return base.PollStyleListenerAdapter(listener, 1, None)


class _Named:
    """Notes in each message which queue it was in."""

    def __init__(self, listener: Any, server: str) -> None:
        self._listener, self._server = listener, server

    def __call__(self, message: dict[str, Any]) -> None:
        message[HOST] = self._server
        self._listener(message)
