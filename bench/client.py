#!/usr/bin/env python3
"""Benchmark of any Nova-compatible compute endpoint.  HTTP only, Python stdlib only.

Phases: warmup, idle, boot, list-detail, get-one, flavors, delete.  For each phase it records
latency/throughput as a client sees them and, for the processes named by --pids / --match (with
all their descendants), CPU seconds, PSS and RSS.  On a noisy machine CPU seconds per operation
is the figure to trust.

  bench.py --auth-url http://127.0.0.1:15000/v3 --user admin --password secret --project admin \\
           --pids "$LAB/run/*.pid" -k 100 -c 8 --runs 3 --label nova-1c --out results.json
"""

import argparse
import glob
import http.client
import json
import os
import platform
import re
import resource
import signal
import statistics
import sys
import threading
import time
import uuid
from urllib.parse import urlencode, urlsplit

TICK = os.sysconf('SC_CLK_TCK')


# ------------------------------------------------------------------ HTTP
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


def fail(msg):
    sys.exit('bench: ' + msg)


class Cloud:
    def __init__(self, a):
        self.a = a
        self.http = Http(
            {
                'Accept': 'application/json',
                'User-Agent': 'kilonova-bench',
                'X-OpenStack-Nova-API-Version': a.microversion,
                'OpenStack-API-Version': 'compute ' + a.microversion,
            }
        )
        self.compute, self.image_url, self.project_id = a.compute, a.image_url, a.project_id
        if a.token:
            self.http.headers['X-Auth-Token'] = a.token
        elif a.auth_url:
            self.login()
        if not self.compute:
            fail('no --compute and none in the catalog')
        self.compute = self.compute.rstrip('/')

    def login(self):
        a = self.a
        body = {
            'auth': {
                'identity': {
                    'methods': ['password'],
                    'password': {
                        'user': {
                            'name': a.user,
                            'domain': {'name': a.domain},
                            'password': a.password,
                        }
                    },
                },
                'scope': {'project': {'name': a.project, 'domain': {'name': a.domain}}},
            }
        }
        s, out, h = self.http('POST', a.auth_url.rstrip('/') + '/auth/tokens', body)
        if s != 201:
            fail('auth: %d %s' % (s, out[:300]))
        self.http.headers['X-Auth-Token'] = h['X-Subject-Token']
        t = json.loads(out)['token']
        self.project_id = self.project_id or t['project']['id']
        for svc in t.get('catalog', []):
            url = next((e['url'] for e in svc['endpoints'] if e['interface'] == 'public'), None)
            if svc['type'] == 'compute':
                self.compute = self.compute or url
            elif svc['type'] == 'image':
                self.image_url = self.image_url or url

    def get(self, path):
        s, out, _ = self.http('GET', self.compute + path)
        if s != 200:
            raise RuntimeError('GET %s: %d %s' % (path, s, out[:300]))
        return json.loads(out)

    def setup(self):
        a = self.a
        if not a.no_quota and self.project_id:
            s, out, _ = self.http(
                'PUT',
                f'{self.compute}/os-quota-sets/{self.project_id}',
                {'quota_set': {'instances': -1, 'cores': -1, 'ram': -1}},
            )
            if s != 200:
                print('bench: could not raise quotas: %d %s' % (s, out[:200]), file=sys.stderr)
        fl = {f['name']: f['id'] for f in self.get('/flavors')['flavors']}
        if a.flavor not in fl:
            s, out, _ = self.http(
                'POST',
                self.compute + '/flavors',
                {'flavor': {'name': a.flavor, 'ram': 512, 'disk': 1, 'vcpus': 1}},
            )
            if s != 200:
                fail('no flavor %s and cannot create it: %d %s' % (a.flavor, s, out[:200]))
            fl[a.flavor] = json.loads(out)['flavor']['id']
        self.flavor = fl[a.flavor]
        self.image = a.image
        if not re.fullmatch(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', a.image):
            base = (self.image_url or '').rstrip('/')
            base = re.sub(r'/v2$', '', base)
            s, out, _ = self.http('GET', base + '/v2/images?' + urlencode({'name': a.image}))
            imgs = json.loads(out)['images'] if s == 200 else []
            if not imgs:
                fail('image %s not found (%d)' % (a.image, s))
            self.image = imgs[0]['id']
        self.networks = a.network if a.network in ('none', 'auto') else [{'uuid': a.network}]


# ------------------------------------------------------------------ process accounting
class Procs:
    """CPU and memory of groups of processes, each with all its descendants."""

    def __init__(self, pids, match):
        self.pids, self.match = pids or [], match or []

    def roots(self):
        out = {}
        for spec in self.pids:
            m = re.match(r'^([\w.-]+)=(.*)$', spec)
            name, pat = (m.group(1), m.group(2)) if m else (None, spec)
            for f in glob.glob(pat):
                try:
                    pid = int(open(f).read().split()[0])
                except (OSError, ValueError, IndexError):
                    continue
                g = name or re.sub(r'[\d]+$', '', os.path.basename(f).rsplit('.', 1)[0])
                out[pid] = g
        if self.match:
            me = os.getpid()
            for d in os.listdir('/proc'):
                if d.isdigit() and int(d) != me:
                    try:
                        cmd = (
                            open(f'/proc/{d}/cmdline', 'rb')
                            .read()
                            .replace(b'\0', b' ')
                            .decode('utf8', 'replace')
                        )
                    except OSError:
                        continue
                    for spec in self.match:
                        name, rx = spec.split('=', 1)
                        if re.search(rx, cmd) and 'bench.py' not in cmd:
                            out[int(d)] = name
        return out

    def sample(self, memory=False):
        roots = self.roots()
        stat = {}
        for d in os.listdir('/proc'):
            if d.isdigit():
                try:
                    s = open(f'/proc/{d}/stat').read()
                except OSError:
                    continue
                f = s[s.rindex(')') + 2 :].split()
                # utime+stime plus what reaped children used, so that short-lived children are not lost
                stat[int(d)] = (int(f[1]), sum(int(x) for x in f[11:15]) / TICK)
        group = dict(roots)
        for pid in stat:
            chain, p = [], pid
            while p in stat and p not in group and p > 1:
                chain.append(p)
                p = stat[p][0]
            if p in group:
                for q in chain:
                    group[q] = group[p]
        res = {}
        for pid, g in group.items():
            if pid not in stat:
                continue
            r = res.setdefault(g, {'cpu': 0.0, 'pss_kb': 0, 'rss_kb': 0, 'procs': 0})
            r['cpu'] += stat[pid][1]
            r['procs'] += 1
            if memory:
                try:
                    for line in open('/proc/%d/smaps_rollup' % pid):
                        k = line.split(':')[0]
                        if k == 'Pss':
                            r['pss_kb'] += int(line.split()[1])
                        elif k == 'Rss':
                            r['rss_kb'] += int(line.split()[1])
                except OSError:
                    pass
        return res


def machine():
    f = [int(x) / TICK for x in open('/proc/stat').readline().split()[1:9]]
    return {'busy': sum(f) - f[3] - f[4], 'steal': f[7], 'load1': os.getloadavg()[0]}


class Phase:
    """with Phase(...) as p: records wall, CPU by group, own CPU, machine load; p.ops makes per-op figures."""

    def __init__(self, run, name, settle=0.0):
        self.run, self.name, self.settle, self.ops, self.d = run, name, settle, 0, {}

    def __enter__(self):
        self.m0, self.c0 = machine(), self.run.procs.sample()
        self.s0, self.t0 = sum(resource.getrusage(resource.RUSAGE_SELF)[:2]), time.time()
        return self

    def __exit__(self, et, ev, tb):
        if et:
            return False
        wall = time.time() - self.t0
        time.sleep(self.settle)
        span = time.time() - self.t0
        c1, m1 = self.run.procs.sample(memory=True), machine()
        own = sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - self.s0
        cpu = {g: round(v['cpu'] - self.c0.get(g, {'cpu': 0})['cpu'], 3) for g, v in c1.items()}
        d = {
            'wall_s': round(wall, 3),
            'cpu_span_s': round(span, 3),
            'ops': self.ops,
            **self.d,
            'cpu_s': round(sum(cpu.values()), 3),
            'cpu_s_by_group': cpu,
            'pss_mb': round(sum(v['pss_kb'] for v in c1.values()) / 1024, 1),
            'rss_mb': round(sum(v['rss_kb'] for v in c1.values()) / 1024, 1),
            'pss_mb_by_group': {g: round(v['pss_kb'] / 1024, 1) for g, v in c1.items()},
            'procs': sum(v['procs'] for v in c1.values()),
            'client_cpu_s': round(own, 3),
            'load1': [round(self.m0['load1'], 2), round(m1['load1'], 2)],
            'machine_busy_s': round(m1['busy'] - self.m0['busy'], 2),
            'steal_s': round(m1['steal'] - self.m0['steal'], 2),
        }
        d['foreign_cpu_s'] = round(d['machine_busy_s'] - d['cpu_s'] - own, 2) if c1 else None
        idle = self.run.idle_rate
        if self.ops and c1:
            d['cpu_ms_per_op'] = round(1000 * d['cpu_s'] / self.ops, 3)
            d['cpu_ms_per_op_net_of_idle'] = round(
                1000 * max(0, d['cpu_s'] - idle * span) / self.ops, 3
            )
        if self.name == 'idle' and c1:
            self.run.idle_rate = d['cpu_s'] / span
            d['cpu_s_per_s'] = round(self.run.idle_rate, 4)
        self.run.phases[self.name] = d
        return False


def pct(v, p):
    if not v:
        return None
    v = sorted(v)
    k = (len(v) - 1) * p / 100
    i = int(k)
    return v[i] + (v[min(i + 1, len(v) - 1)] - v[i]) * (k - i)


def lat(prefix, v):
    return (
        {
            prefix + '_p50_ms': round(1000 * pct(v, 50), 2),
            prefix + '_p99_ms': round(1000 * pct(v, 99), 2),
            prefix + '_max_ms': round(1000 * max(v), 2),
        }
        if v
        else {}
    )


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


# ------------------------------------------------------------------ one run
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

    def sustained(self, conc, seconds, minimum, urls):
        """Closed loop for `seconds` and at least `minimum` requests."""
        took, size, lock, errs = [], [0], threading.Lock(), []
        t0 = time.time()

        def loop(w):
            i = w
            try:
                while time.time() - t0 < seconds or len(took) < minimum:
                    t = time.time()
                    s, out, _ = self.c.http('GET', urls[i % len(urls)])
                    dt = time.time() - t
                    if s != 200:
                        raise RuntimeError('GET %s: %d %s' % (urls[i % len(urls)], s, out[:300]))
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


def table(runs):
    show = [
        (
            'boot',
            (
                'boots_per_s',
                'posts_per_s',
                'post_p50_ms',
                'post_p99_ms',
                'to_active_p50_ms',
                'to_active_p99_ms',
                'active',
                'error',
                'polls',
                'poll_wall_s',
            ),
        ),
        ('list_detail', ('servers', 'bytes', 'get_p50_ms', 'get_p99_ms')),
        ('get_one', ('rps', 'get_p50_ms', 'get_p99_ms')),
        ('flavors_detail', ('get_p50_ms', 'get_p99_ms')),
        ('delete', ('deletes_per_s', 'delete_p50_ms', 'delete_p99_ms', 'left')),
        ('idle', ('cpu_s_per_s',)),
    ]
    common = (
        'cpu_ms_per_op',
        'cpu_ms_per_op_net_of_idle',
        'cpu_s',
        'wall_s',
        'pss_mb',
        'rss_mb',
        'procs',
        'client_cpu_s',
        'foreign_cpu_s',
    )
    summary = {}
    print('%-15s %-26s %12s   %s' % ('phase', 'figure', 'median', 'runs'))
    for ph, keys in show:
        for k in keys + common:
            v = [r[ph].get(k) for r in runs if ph in r]
            v = [x for x in v if x is not None]
            if not v:
                continue
            m = statistics.median(v)
            summary.setdefault(ph, {})[k] = round(m, 3)
            print('%-15s %-26s %12.3f   %s' % (ph, k, m, ' '.join(f'{x:g}' for x in v)))
    for ph in ('boot', 'list_detail', 'get_one', 'delete'):
        groups = sorted({g for r in runs for g in r[ph]['cpu_s_by_group']})
        if groups:
            row = {
                g: round(
                    1000
                    * statistics.median(
                        r[ph]['cpu_s_by_group'].get(g, 0) / max(1, r[ph]['ops']) for r in runs
                    ),
                    2,
                )
                for g in groups
            }
            summary[ph]['cpu_ms_per_op_by_group'] = row
            print('%-15s cpu ms/op: %s' % (ph, '  '.join(f'{g} {x:.1f}' for g, x in row.items())))
    groups = sorted({g for r in runs for g in r['boot']['pss_mb_by_group']})
    if groups:
        row = {
            g: statistics.median(r['boot']['pss_mb_by_group'].get(g, 0) for r in runs)
            for g in groups
        }
        summary['boot']['pss_mb_by_group'] = row
        print(
            '%-15s PSS MB: %s'
            % ('after boot', '  '.join('{} {:.0f}'.format(*x) for x in row.items()))
        )
    return summary


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument(
        '--compute', help='compute endpoint, e.g. http://127.0.0.1:18774/v2.1 (default: catalog)'
    )
    p.add_argument('--auth-url')
    p.add_argument('--token')
    p.add_argument('--user', default='admin')
    p.add_argument('--password', default='secret')
    p.add_argument('--project', default='admin')
    p.add_argument('--project-id')
    p.add_argument('--domain', default='Default')
    p.add_argument('--image', default='cirros-fake', help='image name or id')
    p.add_argument('--image-url', help='image endpoint (default: catalog)')
    p.add_argument('--flavor', default='m1.tiny')
    p.add_argument('--network', default='none', help='none, auto or a network id')
    p.add_argument('--microversion', default='2.37')
    p.add_argument('-k', type=int, default=100, help='servers to boot')
    p.add_argument('-c', '--concurrency', type=int, default=8)
    p.add_argument('--warmup', type=int, default=8)
    p.add_argument('--idle', type=float, default=10, help='seconds of the idle phase')
    p.add_argument(
        '--settle', type=float, default=1, help='seconds of CPU counted after boot and delete'
    )
    p.add_argument('--poll', type=float, default=0.5, help='shortest pause between polls')
    p.add_argument('--read-seconds', type=float, default=8)
    p.add_argument('--timeout', type=float, default=600)
    p.add_argument(
        '--pids',
        action='append',
        metavar='[NAME=]GLOB',
        help='pid files; default group = file name',
    )
    p.add_argument(
        '--match', action='append', metavar='NAME=REGEX', help='processes by command line'
    )
    p.add_argument('--no-quota', action='store_true')
    p.add_argument('--runs', type=int, default=1)
    p.add_argument(
        '--purge', action='store_true', help='only delete all servers named bench-* and leave'
    )
    p.add_argument('--label', default='run')
    p.add_argument('--note', default='')
    p.add_argument('--out', help='JSON file; the result is merged into it under --label')
    a = p.parse_args()
    runs = []
    cloud = Cloud(a)
    if a.purge:
        ids = [s['id'] for s in cloud.get('/servers?name=bench-&limit=1000')['servers']]
        print('deleting', len(ids), Run(cloud, a).delete(ids, 'bench-'))
        return
    cloud.setup()
    for i in range(a.runs):
        print('--- %s run %d/%d  load %s' % (a.label, i + 1, a.runs, os.getloadavg()), flush=True)
        if not a.token and i:
            cloud.login()
        runs.append(Run(cloud, a).go())
        b = runs[-1]['boot']
        print(
            '    boots/s {}  cpu ms/boot {}  to_active p50 {} ms'.format(
                b['boots_per_s'], b.get('cpu_ms_per_op'), b.get('to_active_p50_ms')
            ),
            flush=True,
        )
        if a.out:
            save(a, cloud, runs, None)
    summary = table(runs)
    if a.out:
        save(a, cloud, runs, summary)


def save(a, cloud, runs, summary):
    try:
        doc = json.load(open(a.out))
    except (OSError, ValueError):
        doc = {}
    doc[a.label] = {
        'when': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()),
        'note': a.note,
        'compute': cloud.compute,
        'args': {
            k: getattr(a, k)
            for k in (
                'k',
                'concurrency',
                'network',
                'microversion',
                'flavor',
                'warmup',
                'idle',
                'settle',
                'poll',
                'read_seconds',
            )
        },
        'host': {
            'cpus': os.cpu_count(),
            'kernel': platform.release(),
            'python': platform.python_version(),
        },
        'median': summary,
        'runs': runs,
    }
    with open(a.out + '.tmp', 'w') as f:
        json.dump(doc, f, indent=1, sort_keys=True)
    os.replace(a.out + '.tmp', a.out)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
main()
