"The logs, horizons and origins of the benchmarks of accuracy."
from ulv_jax.data import datasets as d
from ulv_jax.data.events import read_events

CASES = {   # how to read the log, horizon, origins
    'cdnow': (lambda: read_events(d.cdnow(), **d.CDNOW), '181D', ('1997-07-01', '1997-10-01', '1998-01-01')),
    'journey': (lambda: read_events(d.complete_journey(), **d.COMPLETE_JOURNEY), '91D', ('2017-04-02', '2017-07-02', '2017-10-01')),
    'retail': (lambda: read_events(d.online_retail_ii(overlap=False), **d.ONLINE_RETAIL_II), '90D', ('2011-03-14', '2011-06-12', '2011-09-10')),
    'berka': (lambda: read_events(d.berka(), **d.BERKA), '90D', ('1993-07-04', '1993-10-02', '1993-12-31')),
}
