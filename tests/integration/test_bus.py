"""RabbitMQ as operators run it: over TLS, with quorum queues, in the middle of an upgrade."""

from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from kilonova.tests.integration.backends import MariaDB, RabbitMQ
from kilonova.tests.integration.processes import Processes
from kilonova.tests.integration.stack import DAEMONS, Stack

pytestmark = pytest.mark.integration


@pytest.fixture(scope='module')
def rabbitmq(folder: Any) -> Iterator[RabbitMQ]:
    """A broker of its own: a queue that is a quorum queue cannot be declared as another kind later."""
    own = folder / 'bus-broker'
    own.mkdir()
    processes = Processes(own)
    try:
        yield RabbitMQ(processes, own)
    finally:
        processes.close()


@pytest.fixture(scope='module')
def stack(folder: Any, mariadb: MariaDB, rabbitmq: RabbitMQ) -> Iterator[Stack]:
    own = folder / 'bus'
    own.mkdir()
    extra = (
        '[oslo_messaging_rabbit]\nrabbit_quorum_queue = true\nssl = true\n'
        f'ssl_ca_file = {rabbitmq.authority}\n'
        '[upgrade_levels]\nconductor = auto\ncompute = auto\nscheduler = auto\n'
    )
    processes = Processes(own)
    made = Stack(own, mariadb, rabbitmq, processes, extra=extra, broker_url=rabbitmq.tls_url)
    try:
        made.start()
        yield made
    finally:
        processes.close()
        made.close()


def test_a_server_lives(stack: Stack) -> None:
    uuid = stack.boot(stack.flavor(), stack.glance.add())
    stack.wait_status(uuid, 'ACTIVE')
    assert stack.call('POST', f'/servers/{uuid}/action', {'os-stop': None}).status_code == 202
    stack.wait_status(uuid, 'SHUTOFF')
    assert stack.call('DELETE', f'/servers/{uuid}').status_code == 204
    stack.wait_gone(uuid)


def test_only_the_tls_port_is_used(stack: Stack, rabbitmq: RabbitMQ) -> None:
    for name in DAEMONS:
        process = psutil.Process(stack.processes.running[name].pid)
        peers = {c.raddr.port for c in process.net_connections('tcp') if c.raddr}
        assert rabbitmq.tls_port in peers
        assert rabbitmq.port not in peers


def test_queues_are_replicated(stack: Stack, rabbitmq: RabbitMQ) -> None:
    kinds = dict(rabbitmq.queues())
    for topic in ('conductor', 'scheduler', 'compute'):
        assert kinds[topic] == 'quorum', kinds


def test_a_broker_of_another_authority_is_refused(stack: Stack, rabbitmq: RabbitMQ) -> None:
    text = stack.conf.read_text()
    other = stack.conf.with_name('other.conf')
    other.write_text(text.replace(str(rabbitmq.authority), str(rabbitmq.certificate)))
    stack.processes.start(
        'stranger', [stack.program('nova-scheduler'), '--config-file', str(other)]
    )
    stack.wait_logged('stranger', 'certificate verify failed')
    assert stack.processes.stop('stranger') == 0
