"""Medians on the screen, everything in a file."""

import json
import os
import platform
import statistics
import time


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
        groups = sorted({g for r in runs if ph in r for g in r[ph]['cpu_s_by_group']})
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
