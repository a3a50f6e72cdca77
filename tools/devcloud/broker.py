"""RabbitMQ of our own, with its port mapper, on the loopback address."""

import shutil

from devcloud.processes import Processes
from devcloud.settings import IP, Settings, write


def start(settings: Settings, processes: Processes) -> None:
    ports = settings.ports
    home = settings.state / 'rabbitmq'
    logs = settings.log / 'rabbitmq'
    for path in (home, logs):
        path.mkdir(mode=0o750, exist_ok=True)
        shutil.chown(path, 'rabbitmq', 'rabbitmq')
    config = home / 'rabbitmq.conf'
    write(
        config,
        f'listeners.tcp.local = {IP}:{ports.amqp}\n'
        'default_user = kilonova\n'
        f'default_pass = {settings.password("rabbitmq")}\n'
        'default_permissions.configure = .*\n'
        'default_permissions.read = .*\n'
        'default_permissions.write = .*\n'
        'log.file.level = warning\n'
        'disk_free_limit.absolute = 50MB\n',
    )
    shutil.chown(config, 'rabbitmq', 'rabbitmq')
    write(home / 'enabled_plugins', '[].\n', 0o644)
    write(home / 'env.conf', '', 0o644)
    erlang = {
        'HOME': str(home),
        'ERL_EPMD_PORT': str(ports.epmd),
        'ERL_EPMD_ADDRESS': IP,
    }
    processes.start(
        'epmd', ['epmd', '-address', IP, '-port', str(ports.epmd)], env=erlang, user='rabbitmq'
    )
    processes.wait_port('epmd', ports.epmd)
    started = processes.start(
        'rabbitmq',
        # Not the wrapper in /usr/sbin: it changes the user and writes to /var.
        ['/usr/lib/rabbitmq/bin/rabbitmq-server'],
        env={
            **erlang,
            'RABBITMQ_NODENAME': 'kilonova@localhost',
            'RABBITMQ_DIST_PORT': str(ports.erlang),
            'RABBITMQ_CONFIG_FILE': str(config),
            'RABBITMQ_CONF_ENV_FILE': str(home / 'env.conf'),
            'RABBITMQ_ENABLED_PLUGINS_FILE': str(home / 'enabled_plugins'),
            'RABBITMQ_MNESIA_BASE': str(home / 'mnesia'),
            'RABBITMQ_SCHEMA_DIR': str(home / 'schema'),
            'RABBITMQ_GENERATED_CONFIG_DIR': str(home / 'generated'),
            'RABBITMQ_PID_FILE': str(home / 'pid'),
            'RABBITMQ_LOG_BASE': str(logs),
            # One scheduler that sleeps when idle, and no listener beyond the loopback address.
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': (
                '+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none'
                ' -kernel inet_dist_use_interface {127,0,0,1}'
            ),
        },
        user='rabbitmq',
        depends_on=[config],
    )
    processes.wait_port('rabbitmq', ports.amqp)
    if started:
        # The shell script around the Erlang machine needs many seconds to stop it.
        processes.record_child('rabbitmq', int((home / 'pid').read_text()))
