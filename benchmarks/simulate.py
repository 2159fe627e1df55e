"""How fast a simulated log is written, and in how much memory. Each size runs in a process of its own.

    python benchmarks/simulate.py --events 10e6 30e6

Reports events per second, peak memory, users, the size of the file, and how unequal activity is: the busiest user
against the mean, and what part of all events the busiest hundredth makes. The log is read back to count its rows.
"""
import argparse, json, resource, subprocess, sys, tempfile, time
from pathlib import Path

THREADS = 2

def write(n, path):
    from ulv_jax.data.simulate import write_log
    start = time.perf_counter()
    log = write_log(path, n_events=n)
    wall, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps(dict(rows=log.rows, users=log.shop.users, wall_s=wall, cpu_s=used.ru_utime + used.ru_stime, peak_gb=used.ru_maxrss/1e6)))

def look(path):
    import duckdb
    db = duckdb.connect(config=dict(memory_limit='2GB', threads=THREADS))
    rows, sorted_ = db.execute(f"select count(*), bool_and(t >= coalesce(earlier, t)) from (select timestamp t, lag(timestamp) over () earlier from '{path}')").fetchone()
    busiest, mean, top = db.execute(f"""with u as (select user_id, count(*) n from '{path}' group by 1), r as (select n, percent_rank() over (order by n) p from u)
                                        select max(n), avg(n), sum(n) filter (p > .99) / sum(n) from r""").fetchone()
    return dict(rows=rows, sorted=sorted_, busiest=busiest / mean, top=top)

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--events', type=float, nargs='+', default=[10e6]); p.add_argument('--one', help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.one: return write(int(a.events[0]), a.one)
    with tempfile.TemporaryDirectory() as folder:
        for n in a.events:
            path = Path(folder)/'log.parquet'
            r = json.loads(subprocess.run([sys.executable, __file__, '--events', str(n), '--one', str(path)], check=True, capture_output=True, text=True).stdout.splitlines()[-1])
            seen = look(path)
            assert seen['rows'] == r['rows'] and seen['sorted'], seen
            print(f"{r['rows']:>12,} events of {r['users']:,} users in {r['wall_s']:.1f} s: {r['rows']/r['wall_s']/1e6:.2f} million a second, {r['cpu_s']:.1f} s of processor; peak {r['peak_gb']:.2f} GB; "
                  f"file {path.stat().st_size/1e6:,.0f} MB; busiest user {seen['busiest']:,.0f} times the mean, busiest hundredth {seen['top']:.0%} of events", flush=True)

if __name__ == '__main__': main()
