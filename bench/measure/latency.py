"""What a client sees: percentiles."""


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
