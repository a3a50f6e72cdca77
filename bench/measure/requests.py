"""The load: one kind of request after the other, each for some seconds."""

import time
import uuid

from measure.load import Fan, Run
from measure.phase import Phase

AT_ONCE = 50
ACTED_ON = 100


class Requests(Run):
    """Reads, changes and actions of servers that stay."""

    def go(self):
        name = f'bench-{uuid.uuid4().hex[:8]}-'
        ids = self.servers(name)
        try:
            with Phase(self, 'idle'):
                time.sleep(self.a.idle)
            self.reads(ids)
            self.writes(ids[:ACTED_ON])
            for word, status in (('os-stop', 'SHUTOFF'), ('os-start', 'ACTIVE')):
                self.act(word, status, name, ids[:ACTED_ON])
        finally:
            self.delete(ids, name)
        return self.phases

    def servers(self, name):
        """Boot them, many at a time, and wait for all."""
        c, wanted = self.c, self.a.k
        print(f'booting {wanted} servers', flush=True)
        for begin in range(0, wanted, AT_ONCE):
            body = {
                'server': {
                    'name': f'{name}{begin}',
                    'imageRef': c.image,
                    'flavorRef': c.flavor,
                    'networks': c.networks,
                    'min_count': min(AT_ONCE, wanted - begin),
                }
            }
            s, out, _ = c.http('POST', c.compute + '/servers', body)
            if s != 202:
                raise RuntimeError('POST /servers: %d %s' % (s, out[:300]))
        return sorted(self.until(name, 'ACTIVE', wanted))

    def until(self, name, status, number):
        """Poll until so many servers have a status; return their ids."""
        st, end = {'polls': 0, 'poll_s': 0.0}, time.time() + self.a.timeout
        while time.time() < end:
            found, pause = self.poll({'name': name, 'status': status, 'limit': 1000}, st)
            if len(found) >= number:
                return found
            time.sleep(min(pause, 5))
        raise RuntimeError(f'{len(found)} of {number} servers are {status}')

    def phase(self, name, conc, urls, **request):
        with Phase(self, name) as p:
            p.ops, p.d = self.sustained(conc, self.a.read_seconds, 20, urls, **request)

    def reads(self, ids):
        root, conc = self.c.compute, self.a.concurrency
        self.phase('show', conc, [f'{root}/servers/{one}' for one in ids])
        self.phase('list', 1, [f'{root}/servers?limit=1000'])
        self.phase('list_detail', 1, [f'{root}/servers/detail?limit=1000'])

    def writes(self, ids):
        root, conc = self.c.compute, self.a.concurrency
        self.phase(
            'update',
            conc,
            [f'{root}/servers/{one}' for one in ids],
            method='PUT',
            bodies=[{'server': {'description': text}} for text in ('one', 'other')],
        )
        self.phase(
            'lock',
            conc,
            [f'{root}/servers/{one}/action' for one in ids],
            method='POST',
            bodies=[{'lock': None}, {'unlock': None}],
        )

    def act(self, word, status, name, ids):
        """An action that a host carries out, counted to its end on every server."""
        urls = [f'{self.c.compute}/servers/{one}/action' for one in ids]

        def send(url):
            s, out, _ = self.c.http('POST', url, {word: None})
            if s != 202:
                raise RuntimeError('%s: %d %s' % (word, s, out[:300]))

        number = len(ids) if status == 'SHUTOFF' else self.a.k
        with Phase(self, word, settle=self.a.settle) as p:
            threads, errors = Fan(self.a.concurrency).map(urls, send)
            [t.join() for t in threads]
            if errors:
                raise errors[0]
            time.sleep(1)  # one poll, or few: they cost more than the action
            self.until(name, status, number)
            p.ops = len(ids)
