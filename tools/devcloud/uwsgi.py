"""Run the WSGI application of a fellow service."""

from collections.abc import Iterable
from pathlib import Path

from devcloud.processes import Processes
from devcloud.settings import IP, Settings


def serve(
    settings: Settings,
    processes: Processes,
    name: str,
    port: int,
    module: str,
    *,
    env: dict[str, str] | None = None,
    pyargv: str = '',
    venv: Path | None = None,
    depends_on: Iterable[Path | str] = (),
) -> bool:
    """Start one under uWSGI: a master and one process with a few threads."""
    argv: list[str | Path] = [
        settings.services_venv / 'bin/uwsgi',
        '--http-socket', f'{IP}:{port}',
        '--module', f'{module}:application',
        '--virtualenv', venv or settings.services_venv,
        '--master', '--need-app', '--lazy-apps', '--die-on-term',
        # One process: Keystone's cache is in its memory, and memory is scarce on a laptop.
        '--processes', '1', '--threads', '4', '--enable-threads',
        '--buffer-size', '65535', '--listen', '100',
        # uWSGI does not tell keep-alive clients that it closes: they would see resets.
        '--add-header', 'Connection: close',
        '--disable-logging', '--log-4xx', '--log-5xx',
        '--procname-prefix', f'{name} ',
    ]  # fmt: skip
    if pyargv:
        argv += ['--pyargv', pyargv]
    return processes.start(name, argv, env=env, depends_on=depends_on)
