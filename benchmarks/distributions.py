"""Whose distribution is nearest: that of the ensemble's rehearsals, the prior's shapes around its forecast, or both pooled?

    ULV_DATA=folder python benchmarks/distributions.py cdnow journey retail berka   # one table beside the tutorial on leaderboards (--out)

The default ensemble is fitted once a date, all of them earlier than the newest of the leaderboards: one row a date and law, with its
CRPS, how unevenly the outcomes lie in its tenths (the sum of the distances of their shares from a tenth), and what an interval made of it
holds, in all and in the tenths of the forecast. The ends of the interval are the levels of 5 and 95 %, or 0 and the level of 90 %.
"""
import numpy as np
from mixes import run
from ulv_jax.data.snapshots import snapshot, training_snapshots
from ulv_jax.ensemble.distribution import pooled
from ulv_jax.evaluation.audit import audit
from ulv_jax.models.base import LEVELS, Forecaster, make_forecaster

def ends(quantiles, forecast):
    at = lambda level: np.array([np.interp(level, LEVELS, q) for q in quantiles])
    lo = at(.05)
    hi = np.where(lo > 0, at(.95), at(.9))
    return forecast.assign(ulv_lo_90=np.minimum(lo, forecast['ulv']), ulv_hi_90=np.maximum(hi, forecast['ulv']))

def judged(events, date, horizon):
    learn, now = training_snapshots(events, date, horizon, rehearsals=True), snapshot(events, date, horizon)
    model = make_forecaster('ensemble'); model.progress = False
    f, actual = model.fit(learn).predict(now), now.labels['value'].to_numpy()
    table, shapes = Forecaster.quantiles(model, now, f).to_numpy(), model.members_['prior'].quantiles(now, f).to_numpy()
    np.testing.assert_array_equal(model.quantiles(now), both := pooled(table, shapes))
    for law, q in {'table': table, 'shapes': shapes, 'pooled': both}.items():
        found = audit(f if law == 'table' else ends(q, f), actual, quantiles=q)
        tenths = found.groups.query('by == "forecast"')['inside']
        yield dict(law=law, crps=found.whole['crps'], uneven=np.abs(found.places - .1).sum(), inside=found.whole['inside'], lowest_tenth=tenths.min(), highest_tenth=tenths.max())

if __name__ == '__main__': run(judged, 'distributions.csv', __doc__)
