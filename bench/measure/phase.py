"""What one phase of a run has cost."""

import resource
import time

from measure.processes import machine


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
