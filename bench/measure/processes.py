"""CPU and memory of processes, and of the machine that they run on."""

import glob
import os
import re

TICK = os.sysconf('SC_CLK_TCK')


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
                        if re.search(rx, cmd) and 'bench/client.py' not in cmd:
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
