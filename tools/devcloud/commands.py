"""Run other programs to their end, with a clean environment and a log."""

import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from devcloud.progress import StepError

# Sequence, not list: a list of str alone is one too.
Argv = Sequence[str | Path]

# What children may know of the caller's environment.  Everything else stays out: a
# PYTHONPATH, an OS_CLOUD or a proxy of the user's would change what the services do.
_KEPT = ('TERM', 'TZ')
# ... and what a download needs on top of it.
_KEPT_TO_DOWNLOAD = ('http_proxy', 'https_proxy', 'no_proxy', 'SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE')
_SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

_live: set[subprocess.Popen[bytes]] = set()
_live_lock = threading.Lock()
_aborted = threading.Event()


def environment(
    extra: Mapping[str, str] | None = None,
    *,
    path_first: Path | None = None,
    download: bool = False,
) -> dict[str, str]:
    """Return the environment for a child process."""
    env = {name: os.environ[name] for name in _KEPT if name in os.environ}
    env['LANG'] = 'C.UTF-8'
    env['HOME'] = os.environ.get('HOME', '/root')
    env['PATH'] = f'{path_first}:{_SYSTEM_PATH}' if path_first else _SYSTEM_PATH
    if download:
        for name, value in os.environ.items():
            if name.startswith('PIP_') or name in _KEPT_TO_DOWNLOAD or name.endswith('_PROXY'):
                env[name] = value
    env.update(extra or {})
    return env


class CommandError(StepError):
    """A program ended with an error."""

    def __init__(self, reason: str, code: int, output: str, log: Path | None):
        super().__init__(reason, log)
        self.code = code
        self.output = output


def run(
    argv: Argv,
    *,
    env: Mapping[str, str] | None = None,
    stdin: str = '',
    log: Path | None = None,
    timeout: float = 600,
    check: bool = True,
    user: str | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program; its output goes to the log too; a failure raises CommandError."""
    if _aborted.is_set():
        raise StepError('stopped, since another step failed')
    words = [str(word) for word in argv]
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(env) if env is not None else environment(),
            # Its own session: Ctrl-C reaches us alone, and we stop it in our order.
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            cwd=cwd or '/',
        )
    except OSError as error:
        raise CommandError(f'cannot run {words[0]}: {error.strerror}', 127, '', log) from None
    with _live_lock:
        _live.add(process)
    try:
        raw, _ = process.communicate(stdin.encode(), timeout=timeout)
    except subprocess.TimeoutExpired:
        _end(process)
        raise CommandError(
            f'{_short(words)} did not end within {timeout:.0f} s', -1, '', log
        ) from None
    finally:
        with _live_lock:
            _live.discard(process)
    output = raw.decode(errors='replace')
    if log:
        with log.open('a', encoding='utf-8') as file:
            file.write(f'$ {" ".join(words)}\n{output}')
            if process.returncode:
                file.write(f'(exit status {process.returncode})\n')
    if check and process.returncode:
        tail = '\n'.join('    ' + line for line in output.strip().splitlines()[-12:])
        raise CommandError(
            f'{_short(words)} ended with exit status {process.returncode}'
            + (f':\n{tail}' if tail else ''),
            process.returncode,
            output,
            log,
        )
    return subprocess.CompletedProcess(words, process.returncode, output, '')


def abort() -> None:
    """End the programs that run() waits for, and start no more."""
    _aborted.set()
    with _live_lock:
        processes = list(_live)
    for process in processes:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, 15)
        process.wait(10)
    except ProcessLookupError:
        pass
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)


def _short(words: Sequence[str]) -> str:
    return ' '.join([Path(words[0]).name, *words[1:4]]) + (' ...' if len(words) > 4 else '')
