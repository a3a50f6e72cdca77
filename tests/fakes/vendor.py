"""A service that is asked for vendor data, and remembers what it was told."""

import http.server
import json
import threading
import time
from email.message import Message
from typing import Any


class FakeVendor:
    """Answers with ``status`` and ``content`` after ``pause``; ``told`` is (path, headers, body)."""

    def __init__(self) -> None:
        outer = self
        self.told: list[tuple[str, Message, Any]] = []
        self.status, self.content, self.pause = 200, b'{"role": "web"}', 0.0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers['Content-Length'])
                outer.told.append((self.path, self.headers, json.loads(self.rfile.read(length))))
                time.sleep(outer.pause)
                self.send_response(outer.status)
                self.send_header('Content-Length', str(len(outer.content)))
                self.end_headers()
                self.wfile.write(outer.content)

            def log_message(self, *args: Any) -> None:
                """Keep the test's output readable."""

        self._server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self._server.server_port}'
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
