"""Start long-running programs, know them again, and stop these and no others.

A process is known by its pid, its start time and the boot it belongs to, so that a pid that was
given to somebody else in the meantime is never touched.  Helpers that daemons leave behind
(dnsmasq, haproxy, privsep daemons) are known by a variable in their environment that they
inherited from us.
"""

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from devcloud import commands, progress
from devcloud.progress import StepError, say
from devcloud.settings import IP, Settings, write

# What marks our processes; its value is the state directory.
MARK = 'KILONOVA_DEMO'


def boot_id() -> str:
    return Path('/proc/sys/kernel/random/boot_id').read_text().strip()


def start_time(pid: int) -> int | None:
    """Clock ticks from boot to the start of a process; None when there is none, or a zombie."""
    fields = _stat(pid)
    return None if fields is None or fields[0] == 'Z' else int(fields[19])


def session(pid: int) -> int | None:
    fields = _stat(pid)
    return None if fields is None or fields[0] == 'Z' else int(fields[3])


def _line(pid: int) -> list[int]:
    """A process, its parent, and so on up to the first."""
    found = [pid]
    while (fields := _stat(found[-1])) and int(fields[1]) > 0:
        found.append(int(fields[1]))
    return found


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f'/proc/{pid}/stat').read_text()
    except OSError:
        return None
    # The second field is the name in parentheses, and may hold anything.
    return text.rpartition(')')[2].split()


def all_pids() -> list[int]:
    return [int(name) for name in os.listdir('/proc') if name.isdigit()]


def command_line(pid: int) -> str:
    try:
        raw = Path(f'/proc/{pid}/cmdline').read_bytes()
    except OSError:
        return ''
    return raw.replace(b'\0', b' ').decode(errors='replace').strip()


class Processes:
    """The long-running programs of one state directory."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    # ---- records

    def _record(self, name: str) -> Path:
        return self._settings.run / f'{name}.json'

    def names(self) -> list[str]:
        """All recorded programs, the first started first."""
        records = sorted(self._settings.run.glob('*.json'), key=lambda path: path.stat().st_mtime)
        return [path.stem for path in records]

    def _read(self, name: str) -> dict[str, object]:
        try:
            return dict(json.loads(self._record(name).read_text()))
        except (OSError, ValueError):
            return {}

    def pid(self, name: str) -> int | None:
        """The pid of a program that runs, else None."""
        record = self._read(name)
        if not record or record.get('boot') != boot_id():
            return None
        pid = int(str(record['pid']))
        if name in self._started:
            # Collect the exit status, or a dead child would stay as a zombie.
            self._started[name].poll()
        return pid if start_time(pid) == record['start'] else None

    def log(self, name: str) -> Path:
        return self._settings.log / f'{name}.log'

    # ---- start

    def start(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        depends_on: Iterable[Path | str] = (),
    ) -> bool:
        """Start a program unless it runs; return whether it was started.

        One that runs with other arguments, other contents of the files it depends on, or
        another of the values it depends on, is started again.
        """
        words = [str(word) for word in argv]
        key = _fingerprint(words, depends_on)
        if self.pid(name):
            if self._read(name).get('key') == key:
                return False
            say(name, 'its code or configuration has changed: starting it again')
            self.stop(name)
        environment = commands.environment(env)
        environment[MARK] = str(self._settings.root)
        with self.log(name).open('ab') as log:
            log.write(f'==== {time.strftime("%Y-%m-%d %H:%M:%S")} {words[0]}\n'.encode())
            log.flush()
            try:
                process = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                    user=user,
                    group=user,
                    extra_groups=[] if user else None,
                    cwd='/',
                )
            except OSError as error:
                raise StepError(f'cannot start {words[0]}: {error.strerror}') from None
        self._started[name] = process
        self._save(name, process.pid, key)
        return True

    def _save(self, name: str, pid: int, key: str) -> None:
        began = start_time(pid)
        if began is None:
            raise StepError(f'{name} ended at once', self.log(name))
        record = {
            'pid': pid,
            'start': began,
            'session': session(pid),
            'boot': boot_id(),
            'key': key,
        }
        write(self._record(name), json.dumps(record), 0o644)

    def record_child(self, name: str, pid: int) -> None:
        """From now on, a child of the started program is the one to watch and to stop."""
        record = self._read(name)
        if start_time(pid) is not None and session(pid) == record.get('session'):
            del self._started[name]
            self._save(name, pid, str(record['key']))

    # ---- wait

    def wait(self, name: str, what: str, test: Callable[[], bool], seconds: float = 180) -> None:
        """Wait until a test succeeds; fail when the program ends or the time is over."""
        end = time.monotonic() + seconds
        while not test():
            if not self.pid(name):
                raise StepError(f'{name} has ended:\n{self.tail(name)}', self.log(name))
            if time.monotonic() > end:
                raise StepError(
                    f'{name}: {what} not within {seconds:.0f} s:\n{self.tail(name)}',
                    self.log(name),
                )
            time.sleep(0.1)

    def wait_port(self, name: str, port: int, seconds: float = 180) -> None:
        self.wait(name, f'port {port}', lambda: port_answers(port), seconds)

    def wait_http(self, name: str, url: str, seconds: float = 180) -> None:
        self.wait(name, url, lambda: http_answers(url), seconds)

    def tail(self, name: str, lines: int = 10) -> str:
        try:
            text = self.log(name).read_text(errors='replace')
        except OSError:
            return ''
        return '\n'.join('    ' + line[:300] for line in text.splitlines()[-lines:])

    # ---- stop

    def stop(self, name: str, seconds: float = 20) -> None:
        """Ask a program to end, then end what is left of its session."""
        record = self._read(name)
        pid = self.pid(name)
        if pid:
            _signal(pid, signal.SIGTERM)
            end = time.monotonic() + seconds
            while self.pid(name) and time.monotonic() < end:
                time.sleep(0.05)
            if self.pid(name):
                progress.log_only(f'{name} did not end within {seconds:.0f} s: killing it')
                _signal(pid, signal.SIGKILL)
        if record and record.get('boot') == boot_id():
            self._stop_session(int(str(record['session'])))
        self._record(name).unlink(missing_ok=True)

    def _stop_session(self, leader: int) -> None:
        # While a session has members the kernel gives its number to nobody else.  If there is
        # a process of that number, it is a new one that happens to lead its own session.
        if start_time(leader) is not None:
            return
        for sign in (signal.SIGTERM, signal.SIGKILL):
            members = [pid for pid in all_pids() if session(pid) == leader]
            for pid in members:
                _signal(pid, sign)
            _wait_gone(members, 3)

    def marked(self) -> list[int]:
        """Processes that inherited our mark, whoever their parent is now."""
        mark = f'{MARK}={self._settings.root}'.encode()
        found = []
        for pid in all_pids():
            try:
                environ = Path(f'/proc/{pid}/environ').read_bytes()
            except OSError:
                continue
            if mark in environ.split(b'\0') and start_time(pid) is not None:
                found.append(pid)
        return found

    def stop_marked(self) -> None:
        """Stop what has our mark, but belongs to none of our programs any more."""
        running = {pid for name in self.names() if (pid := self.pid(name))}
        sessions = {session(pid) for pid in running}
        for sign, seconds in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
            pids = [
                pid
                for pid in self.marked()
                if session(pid) not in sessions and running.isdisjoint(_line(pid))
            ]
            for pid in pids:
                _signal(pid, sign)
            _wait_gone(pids, seconds)


def _fingerprint(words: Sequence[str], depends_on: Iterable[Path | str]) -> str:
    digest = hashlib.sha256('\0'.join(words).encode())
    for item in depends_on:
        digest.update(item.read_bytes() if isinstance(item, Path) else item.encode())
    return digest.hexdigest()


def _signal(pid: int, sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sign)


def _wait_gone(pids: Sequence[int], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(start_time(pid) is not None for pid in pids):
        time.sleep(0.05)


# ---- ports


def port_answers(port: int) -> bool:
    try:
        socket.create_connection((IP, port), timeout=2).close()
    except OSError:
        return False
    return True


def http_answers(url: str) -> bool:
    """Whether a web server answers, be it with an error of the client's (401, 300)."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(url, timeout=10).close()
    except urllib.error.HTTPError as error:
        return error.code < 500
    except (OSError, ValueError):
        return False
    return True


def port_holder(port: int) -> str | None:
    """Say who listens on a port of the loopback address; None if nobody does."""
    inodes = set()
    for table in ('/proc/net/tcp', '/proc/net/tcp6'):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            address, _, hex_port = fields[1].rpartition(':')
            listening = fields[3] == '0A'
            # A listener on another address of the machine does not disturb.
            ours = address.strip('0') == '' or address.endswith('0100007F')
            if listening and ours and int(hex_port, 16) == port:
                inodes.add(f'socket:[{fields[9]}]')
    if not inodes:
        return None
    for pid in all_pids():
        try:
            links = [os.readlink(entry) for entry in Path(f'/proc/{pid}/fd').iterdir()]
        except OSError:
            continue
        if inodes.intersection(links):
            return f'process {pid} ({command_line(pid)[:80] or "?"})'
    return 'a process of another container'
