"""RPC, declared once.

A daemon's ``interface`` module holds a class with ``TOPIC``, ``VERSION`` and methods
marked ``@call`` or ``@cast``; their annotations are the wire format.  ``client_for``
derives the client, ``serve`` the server: an endpoint is any object that has a method of
the same name.  Arguments and results are msgspec types, checked when they arrive.

Versions: a method that came later says ``since``, an argument that came later has the type
``Annotated[..., rpc.Since('1.1')]`` and a default.  A client capped by ``[upgrade_levels]``
refuses to send what the receiver cannot know (DaemonTooOld).
"""

import functools
import inspect
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, NamedTuple, Self, TypeVar, get_type_hints
from typing import cast as typing_cast

import msgspec
import oslo_messaging as messaging
from oslo_config import cfg
from oslo_log import log as logging
from oslo_messaging._drivers import amqpdriver
from oslo_messaging._drivers import common as driver_common
from oslo_messaging.rpc import server as server_module

from kilonova.common import concurrency, context, exception

LOG = logging.getLogger(__name__)
F = TypeVar('F', bound=Callable[..., Any])
I = TypeVar('I', bound='Interface')  # noqa: E741

Cap = str | Callable[[], str] | None
"""The newest version that a client may speak; asked for at each message if it can change."""
ALLOWED_REMOTE = [exception.__name__]
# The broker says at once when there is no queue, instead of dropping the message: a daemon that
# has not started yet costs its caller nothing but another try.
DELIVERED = messaging.TransportOptions(at_least_once=True)
RABBIT = 'oslo_messaging._drivers.impl_rabbit'
IN_MEMORY = 'fake:///'
MEMORY = 'oslo_messaging._drivers.impl_fake'
LOOK_EVERY = 0.5
"""Seconds between two looks of a loop that waits for messages whether it is to end."""


class Since(NamedTuple):
    """Marks an argument that an interface got later."""

    version: str


def call(timeout: float | None = None, since: str = '1.0') -> Callable[[F], F]:
    """Mark a method whose caller waits; ``timeout`` in seconds (None: rpc_response_timeout)."""

    def mark(method: F) -> F:
        method._rpc = ('call', timeout, since)  # type: ignore[attr-defined]
        return method

    return mark


def cast(since: str = '1.0') -> Callable[[F], F]:
    """Mark a method whose caller does not wait; such a message is a hint, it may get lost."""

    def mark(method: F) -> F:
        method._rpc = ('cast', None, since)  # type: ignore[attr-defined]
        return method

    return mark


class Interface:
    """Base of all interfaces: what a client has beside the declared methods."""

    TOPIC: str
    VERSION: str

    def at(self, server: str) -> Self:
        """Return a client for one host's daemon."""
        raise TypeError('only a client can be addressed')

    def fanout(self) -> Self:
        """Return a client whose casts go to every running server of the topic."""
        raise TypeError('only a client can be addressed')


class _Method(msgspec.Struct):
    name: str
    kind: str
    timeout: float | None
    since: str
    signature: inspect.Signature
    hints: dict[str, Any]
    later: dict[str, str]
    """Arguments that came after the method, with the version that has them."""

    def needs(self, arguments: dict[str, Any]) -> str:
        """Return the version that a receiver of these arguments must have."""
        versions = [self.since] + [v for name, v in self.later.items() if name in arguments]
        return max(versions, key=_numbers)

    def without_defaults(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Leave out later arguments that say nothing, so that an older receiver will do."""
        return {
            name: value
            for name, value in arguments.items()
            if name not in self.later or value != self.signature.parameters[name].default
        }


_methods: dict[type, dict[str, _Method]] = {}


def methods_of(interface: type[Interface]) -> dict[str, _Method]:
    """Return the declared methods of an interface by name."""
    if interface not in _methods:
        _methods[interface] = {
            name: _read(name, member)
            for name, member in inspect.getmembers(interface, inspect.isfunction)
            if hasattr(member, '_rpc')
        }
    return _methods[interface]


def _read(name: str, member: Callable[..., Any]) -> _Method:
    kind, timeout, since = member._rpc  # type: ignore[attr-defined]
    signature = inspect.signature(member)
    parameters = list(signature.parameters.values())[2:]  # without self and context
    hints = get_type_hints(member, include_extras=True)
    later = {
        argument: mark.version
        for argument, hint in hints.items()
        for mark in getattr(hint, '__metadata__', ())
        if isinstance(mark, Since)
    }
    signature = signature.replace(parameters=parameters)
    return _Method(name, kind, timeout, since, signature, hints, later)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split('.'))


class _Serializer(messaging.NoOpSerializer):
    """Carries the request context; values are converted by client and dispatcher."""

    def serialize_context(self, ctxt: context.RequestContext) -> dict[str, Any]:
        return ctxt.to_dict()

    def deserialize_context(self, ctxt: dict[str, Any]) -> context.RequestContext:
        return context.RequestContext.from_dict(ctxt)


class Client(Interface):
    """What ``client_for`` returns; its methods are the interface's.

    ``observers`` are called with kind ('call', 'cast'), method and context of each message that
    is sent.
    """

    observers: ClassVar[list[Callable[[str, str, context.RequestContext], None]]] = []

    def __init__(
        self,
        interface: type[Interface],
        transport: messaging.Transport,
        version_cap: Cap = None,
        server: str | None = None,
    ) -> None:
        self._interface, self._transport, self._cap = interface, transport, version_cap
        target = messaging.Target(topic=interface.TOPIC, version='1.0', server=server)
        self._client = messaging.get_rpc_client(
            transport,
            target,
            serializer=_Serializer(),
            transport_options=DELIVERED,
        )
        for method in methods_of(interface).values():
            setattr(self, method.name, functools.partial(self._send, method))

    def at(self, server: str) -> Any:
        return Client(self._interface, self._transport, self._cap, server)

    def fanout(self) -> Any:
        other = Client(self._interface, self._transport, self._cap)
        other._client = other._client.prepare(fanout=True, transport_options=None)
        return other

    def _send(
        self, method: _Method, ctxt: context.RequestContext, *args: Any, **kwargs: Any
    ) -> Any:
        for observe in self.observers:
            observe(method.kind, method.name, ctxt)
        bound = method.signature.bind(*args, **kwargs)  # a wrong argument is the caller's TypeError
        arguments = method.without_defaults(bound.arguments)
        wire = {name: msgspec.to_builtins(value) for name, value in arguments.items()}
        needed = method.needs(arguments)
        self._check_cap(method, needed)
        client = (
            self._client.prepare(version=needed, timeout=method.timeout)
            if method.timeout
            else self._client.prepare(version=needed)
        )
        try:
            if method.kind == 'cast':
                client.cast(ctxt, method.name, **wire)
                return None
            result = client.call(ctxt, method.name, **wire)
        except messaging.MessagingTimeout as error:
            raise exception.ServiceUnavailable(
                f'{self._interface.__name__} did not answer {method.name} in time.'
            ) from error
        except messaging.MessageUndeliverable as error:
            raise exception.ServiceUnavailable(
                f'Nobody listens for {self._interface.__name__}.{method.name}.'
            ) from error
        except messaging.MessageDeliveryFailure as error:
            raise exception.ServiceUnavailable('The message bus cannot be reached.') from error
        except exception.KilonovaError as error:
            _forget_where(error)
            raise
        return msgspec.convert(result, method.hints.get('return', Any), strict=False)

    def _check_cap(self, method: _Method, needed: str) -> None:
        cap = self._cap() if callable(self._cap) else self._cap
        if cap is not None and _numbers(cap) < _numbers(needed):
            raise exception.DaemonTooOld(
                method=method.name, needed=needed, interface=self._interface.TOPIC, cap=cap
            )


def _forget_where(error: exception.KilonovaError) -> None:
    """Make of an error that came over the bus what was raised at the other side.

    oslo.messaging gives it a class of its own, whose text has the other side's traceback in it;
    its text is what users are told.
    """
    if type(error).__module__.endswith(driver_common._REMOTE_POSTFIX):
        error.__class__ = type(error).__bases__[0]


def client_for(
    interface: type[I],
    transport: messaging.Transport,
    server: str | None = None,
    version_cap: Cap = None,
) -> I:
    """Return a client with the interface's methods (plus ``at(host)`` and ``fanout()``)."""
    return typing_cast(I, Client(interface, transport, version_cap, server))


class _Dispatcher(messaging.RPCDispatcher):
    """Turns wire values into the declared types and results back."""

    def __init__(self, interface: type[Interface], endpoints: Iterable[object]) -> None:
        endpoint = types.SimpleNamespace(target=messaging.Target(version=interface.VERSION))
        methods = methods_of(interface)
        endpoints = list(endpoints)
        for name, method in methods.items():
            homes = [e for e in endpoints if callable(getattr(e, name, None))]
            if len(homes) != 1:
                raise RuntimeError(
                    f'{interface.__name__}.{name} has {len(homes)} endpoints, not one'
                )
            setattr(endpoint, name, self._wrap(method, getattr(homes[0], name)))
        super().__init__([endpoint], _Serializer(), messaging.LegacyRPCAccessPolicy)

    @staticmethod
    def _wrap(method: _Method, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(ctxt: context.RequestContext, **wire: Any) -> Any:
            # Arguments that we do not know come from a newer caller and are left out.
            values = {
                name: msgspec.convert(wire[name], method.hints[name], strict=False)
                for name in method.signature.parameters
                if name in wire
            }
            return msgspec.to_builtins(function(ctxt, **values))

        return messaging.expected_exceptions(exception.KilonovaError)(run)


def dispatcher_for(
    interface: type[Interface], endpoints: Iterable[object]
) -> messaging.RPCDispatcher:
    """Return what hands messages of the interface to its endpoints."""
    return _Dispatcher(interface, endpoints)


def get_transport(conf: cfg.ConfigOpts, url: str | None = None) -> messaging.Transport:
    """Return the transport of ``[DEFAULT]transport_url`` (or of another cell's url)."""
    try:
        found = messaging.get_rpc_transport(conf, url=url, allowed_remote_exmods=ALLOWED_REMOTE)
    except (messaging.DriverLoadFailure, messaging.InvalidTransportURL) as error:
        # The latter's text holds the URL, and so the password.
        why = error if isinstance(error, messaging.DriverLoadFailure) else 'it is no URL of a bus'
        raise exception.KilonovaError(f'transport_url cannot be used: {why}') from None
    if url is not None and url.startswith(IN_MEMORY):
        # In memory there are no virtual hosts: an exchange stands for one.
        driver, name = found._driver, url.removeprefix(IN_MEMORY)
        driver._default_exchange = driver._exchange_manager._default_exchange = name
    if RABBIT in sys.modules:  # before that its options are not made, and need the first value
        # There is no option for it.  With 5 seconds, as it comes, each loop held up a daemon
        # that stops, one after the other.
        amqpdriver.ACK_REQUEUE_EVERY_SECONDS_MAX = LOOK_EVERY
    if MEMORY in sys.modules:
        from kilonova.common import memory_bus

        memory_bus.install()
    return found


def serve(
    transport: messaging.Transport,
    interface: type[Interface],
    endpoints: Iterable[object],
    server: str,
) -> server_module.RPCServer:
    """Return a started server for the endpoints; ``stop()`` and ``wait()`` drain it."""
    target = messaging.Target(topic=interface.TOPIC, server=server, version=interface.VERSION)
    started = server_module.RPCServer(
        transport, target, _Dispatcher(interface, endpoints), executor=concurrency.rpc_executor()
    )
    started.start()
    return started
