"""Chromium without a screen, driven over its own debugging protocol."""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from typing import Any

from kilonova.tests.fakes.websocket_client import TEXT, WebsocketClient
from kilonova.tests.integration.processes import wait_for

PAUSE = 0.06
"""Seconds between two keys."""
PROGRAM = shutil.which('chromium') or shutil.which('chromium-browser')


class Browser:
    """One page.  ``close`` ends the process."""

    def __init__(self) -> None:
        assert PROGRAM
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix='kn-chromium-'))
        self._process = subprocess.Popen(
            [
                PROGRAM, '--headless=new', '--no-sandbox', '--disable-gpu',
                '--disable-dev-shm-usage', '--remote-debugging-port=0', '--window-size=1024,800',
                f'--user-data-dir={self._folder}', 'about:blank',
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, 'HOME': str(self._folder)},
        )  # fmt: skip
        self._number = 0
        port_file = self._folder / 'DevToolsActivePort'
        wait_for('chromium', lambda: port_file.exists() and port_file.read_text(), 90)
        port = int(port_file.read_text().split()[0])
        with urllib.request.urlopen(f'http://127.0.0.1:{port}/json', timeout=20) as answer:
            pages = [page for page in json.load(answer) if page['type'] == 'page']
        path = urllib.parse.urlsplit(pages[0]['webSocketDebuggerUrl']).path
        self._socket = WebsocketClient(('127.0.0.1', port), path, timeout=60)
        self.ask('Page.enable')

    def ask(self, method: str, **params: Any) -> Any:
        """Send one command and return its result; events in between are dropped."""
        self._number += 1
        message = {'id': self._number, 'method': method, 'params': params}
        self._socket.send(json.dumps(message).encode(), TEXT)
        while True:
            _, data = self._socket.receive()
            answer = json.loads(data)
            if answer.get('id') == self._number:
                assert 'error' not in answer, answer
                return answer['result']

    def open(self, url: str) -> None:
        self.ask('Page.navigate', url=url)

    def run(self, script: str) -> Any:
        """Return what an expression of JavaScript is, which has to be JSON."""
        found = self.ask('Runtime.evaluate', expression=script, returnByValue=True)
        return found['result'].get('value')

    def screenshot(self, path: pathlib.Path) -> bytes:
        data = base64.b64decode(self.ask('Page.captureScreenshot', format='png')['data'])
        path.write_bytes(data)
        return data

    def type(self, text: str) -> None:
        """Press keys, as fast as a user would, on an American keyboard.

        A guest that is emulated takes its time, and its keyboard remembers few keys: of those
        that come at once some are lost, with SPICE most of all.
        """
        for char in text:
            if _is_shifted(char):
                self._key('rawKeyDown', 'Shift', 'ShiftLeft', 16, 8)
            key, code, number = _KEYS.get(char) or _letter(char)
            modifiers = 8 if _is_shifted(char) else 0
            self._key('keyDown', key, code, number, modifiers, '\r' if char == '\n' else char)
            self._key('keyUp', key, code, number, modifiers)
            if _is_shifted(char):
                self._key('keyUp', 'Shift', 'ShiftLeft', 16, 0)
            time.sleep(PAUSE)

    def _key(
        self, kind: str, key: str, code: str, number: int, modifiers: int, text: str = ''
    ) -> None:
        more = {'text': text} if text else {}
        self.ask(
            'Input.dispatchKeyEvent',
            type=kind,
            key=key,
            code=code,
            windowsVirtualKeyCode=number,
            modifiers=modifiers,
            **more,
        )

    def click(self, x: int, y: int) -> None:
        for kind in ('mousePressed', 'mouseReleased'):
            self.ask('Input.dispatchMouseEvent', type=kind, x=x, y=y, button='left', clickCount=1)

    def close(self) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(30)
        shutil.rmtree(self._folder, ignore_errors=True)


_KEYS = {
    '\n': ('Enter', 'Enter', 13),
    ' ': (' ', 'Space', 32),
    '-': ('-', 'Minus', 189),
    '/': ('/', 'Slash', 191),
    '>': ('>', 'Period', 190),
}


def _is_shifted(char: str) -> bool:
    return char == '>' or char.isupper()


def _letter(char: str) -> tuple[str, str, int]:
    code = f'Digit{char}' if char.isdigit() else f'Key{char.upper()}'
    return char, code, ord(char.upper())
