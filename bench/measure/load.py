"""The load: boots, reads and deletes as fast as the endpoint takes them."""

import json
import threading
import time
import uuid
from urllib.parse import urlencode

from measure.latency import lat
from measure.phase import Phase
from measure.processes import Procs


class Fan:
    """Long-lived client threads, so that connections are kept across calls."""

    def __init__(self, n):
        self.n = n

    def map(self, items, fn):
        it, lock, errs = iter(items), threading.Lock(), []

        def work():
            while not errs:
                with lock:
                    x = next(it, it)
                if x is it:
                    return
                try:
                    fn(x)
                except Exception as e:
                    errs.append(e)

        ts = [threading.Thread(target=work, daemon=True) for _ in range(self.n)]
        [t.start() for t in ts]
        return ts, errs


class Run:
    def __init__(self, cloud, a):
        self.c, self.a = cloud, a
        self.procs = Procs(a.pids, a.match)
        self.phases, self.idle_rate = {}, 0.0

    def poll(self, query, st):
        """Poll cheaply and sparsely: at most one tenth of the time is spent inside polls."""
        t = time.time()
        r = self.c.get('/servers?' + urlencode(query))['servers']
        dt = time.time() - t
        st['polls'] += 1
        st['poll_s'] += dt
        return {s['id'] for s in r}, max(self.a.poll, 9 * dt)

    def boot(self, k, name):
        a, c = self.a, self.c
        started, posted, ids, active, _bad = {}, [], [], {}, []
        lock = threading.Lock()

        def create(i):
            t = time.time()
            s, out, _ = c.http(
                'POST',
                c.compute + '/servers',
                {
                    'server': {
                        'name': '%s%04d' % (name, i),
                        'imageRef': c.image,
                        'flavorRef': c.flavor,
                        'networks': c.networks,
                    }
                },
            )
            dt = time.time() - t
            if s != 202:
                raise RuntimeError('POST /servers: %d %s' % (s, out[:300]))
            sid = json.loads(out)['server']['id']
            with lock:
                posted.append(dt)
                started[sid] = t
                ids.append(sid)

        st = {'polls': 0, 'poll_s': 0.0}
        t0 = time.time()
        ts, errs = Fan(a.concurrency).map(range(k), create)
        post_end, errored = None, set()
        q = {'name': name, 'limit': 1000}
        while True:
            time.sleep(0.02)
            if errs:
                raise errs[0]
            if post_end is None and not any(t.is_alive() for t in ts):
                post_end = time.time()
            if ids:
                got, pause = self.poll(dict(q, status='ACTIVE'), st)
                now = time.time()
                for s in got:
                    if s in started and s not in active:
                        active[s] = now
                if st['polls'] % 10 == 9:
                    errored = self.poll(dict(q, status='ERROR'), st)[0]
                if len(active) + len(errored) >= k and post_end:
                    break
                if now - t0 > a.timeout:
                    break
                time.sleep(min(pause, 5))
        tta = [active[s] - started[s] for s in active]
        end = max(active.values()) - t0 if active else 0
        d = {
            'k': k,
            'active': len(active),
            'error': len(errored),
            'boots_per_s': round(len(active) / end, 3) if end else 0,
            'posts_per_s': round(k / ((post_end or time.time()) - t0), 3),
            **lat('post', posted),
            **lat('to_active', tta),
            'polls': st['polls'],
            'poll_wall_s': round(st['poll_s'], 2),
        }
        return ids, d

    def delete(self, ids, name):
        a, c = self.a, self.c
        took = []

        def rm(sid):
            t = time.time()
            s, out, _ = c.http('DELETE', c.compute + '/servers/' + sid)
            if s not in (204, 404):
                raise RuntimeError('DELETE: %d %s' % (s, out[:300]))
            took.append(time.time() - t)

        st = {'polls': 0, 'poll_s': 0.0}
        t0 = time.time()
        ts, errs = Fan(a.concurrency).map(ids, rm)
        [t.join() for t in ts]
        if errs:
            raise errs[0]
        mine = set(ids)
        while True:
            got, pause = self.poll({'name': name, 'limit': 1000}, st)
            left = len(got & mine)
            if not left or time.time() - t0 > a.timeout:
                break
            time.sleep(min(pause, 5))
        return {
            'deletes_per_s': round((len(ids) - left) / (time.time() - t0), 3),
            'left': left,
            **lat('delete', took),
            'polls': st['polls'],
            'poll_wall_s': round(st['poll_s'], 2),
        }

    def sustained(self, conc, seconds, minimum, urls, method='GET', bodies=(None,)):
        """Closed loop for `seconds` and at least `minimum` requests."""
        took, size, lock, errs = [], [0], threading.Lock(), []
        t0 = time.time()

        def loop(w):
            i = w
            try:
                while time.time() - t0 < seconds or len(took) < minimum:
                    t = time.time()
                    url, body = urls[i % len(urls)], bodies[i // len(urls) % len(bodies)]
                    s, out, _ = self.c.http(method, url, body)
                    dt = time.time() - t
                    if s not in (200, 202):
                        raise RuntimeError('%s %s: %d %s' % (method, url, s, out[:300]))
                    with lock:
                        took.append(dt)
                        size[0] = len(out)
                    i += conc
            except Exception as e:
                errs.append(e)

        ts = [threading.Thread(target=loop, args=(w,), daemon=True) for w in range(conc)]
        [t.start() for t in ts]
        [t.join() for t in ts]
        if errs:
            raise errs[0]
        wall = time.time() - t0
        return len(took), {'rps': round(len(took) / wall, 2), **lat('get', took), 'bytes': size[0]}

    def go(self):
        a, c = self.a, self.c
        name = f'bench-{uuid.uuid4().hex[:8]}-'
        ids = []
        try:
            if a.warmup:
                ids, _ = self.boot(a.warmup, name + 'w')
                c.get('/servers/detail?limit=10'), c.get('/flavors/detail')
                self.delete(ids, name + 'w')
                ids = []
            with Phase(self, 'idle') as p:
                time.sleep(a.idle)
            with Phase(self, 'boot', settle=a.settle) as p:
                ids, p.d = self.boot(a.k, name)
                p.ops = p.d['active']
            if a.leave:
                ids = []
                return self.phases
            with Phase(self, 'list_detail') as p:
                n = len(c.get('/servers/detail?limit=1000')['servers'])
                p.ops, p.d = self.sustained(
                    1, a.read_seconds, 10, [c.compute + '/servers/detail?limit=1000']
                )
                p.ops, p.d['servers'] = p.ops + 1, n
            with Phase(self, 'get_one') as p:
                p.ops, p.d = self.sustained(
                    a.concurrency, a.read_seconds, 50, [c.compute + '/servers/' + s for s in ids]
                )
            with Phase(self, 'flavors_detail') as p:
                p.ops, p.d = self.sustained(
                    1, min(3, a.read_seconds), 10, [c.compute + '/flavors/detail']
                )
            with Phase(self, 'delete', settle=a.settle) as p:
                p.d = self.delete(ids, name)
                p.ops = len(ids) - p.d['left']
            ids = []
        finally:
            for s in ids:  # leave nothing behind when a phase failed
                try:
                    c.http('DELETE', c.compute + '/servers/' + s)
                except Exception:
                    pass
        return self.phases
