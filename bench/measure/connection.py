"""HTTP with connections that are kept, from the standard library."""

import http.client
import json
import threading
from urllib.parse import urlsplit


class Http:
    """One keep-alive connection per thread and origin; reconnects when the server closes."""

    def __init__(self, headers):
        self.headers = headers
        self.local = threading.local()

    def __call__(self, method, url, body=None, headers=None, timeout=120):
        u = urlsplit(url)
        conns = self.local.__dict__.setdefault('conns', {})
        h = dict(self.headers)
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            h['Content-Type'] = 'application/json'
        h.update(headers or {})
        path = u.path + ('?' + u.query if u.query else '')
        for attempt in (0, 1):
            c = conns.get(u.netloc)
            fresh = c is None or c.sock is None
            if c is None:
                cls = (
                    http.client.HTTPSConnection
                    if u.scheme == 'https'
                    else http.client.HTTPConnection
                )
                c = conns[u.netloc] = cls(u.netloc, timeout=timeout)
            try:
                c.request(method, path, data, h)
                r = c.getresponse()
                out = r.read()
                return r.status, out, r.headers
            except (http.client.HTTPException, OSError):
                c.close()
                conns.pop(u.netloc, None)
                # a kept-alive connection the server closed meanwhile: once more on a fresh one
                if fresh or attempt or (method == 'POST'):
                    raise
