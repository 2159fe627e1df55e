"Other libraries as forecasters of this one, so that they get the same snapshots, the same customers and the same metrics."
import warnings
import numpy as np
from ulv_jax.data.errors import DataError
from ulv_jax.data.snapshots import present_of
from ulv_jax.models.base import Forecaster, register

class Peer(Forecaster):
    "A peer's intervals are not compared."
    def _fit(self, snapshots): self.learn(snapshots)
    def _predict(self, snapshot): return self.ask(snapshot)

def converged(fitter, *columns):
    "A fit of `lifetimes`; where it does not converge, with the smallest penalty with which it does, as its message advises."
    from lifetimes.utils import ConvergenceError
    for penalty in (0., .001, .01, .1, 1.):
        try: return fitter(penalizer_coef=penalty).fit(*columns)
        except ConvergenceError: continue
    raise DataError(f'{fitter.__name__} of lifetimes does not converge')

@register('lifetimes')
class Lifetimes(Peer):
    "Pareto/NBD and Gamma-Gamma of the package `lifetimes`, times in weeks; what it cannot compute is BG/NBD's."
    def learn(self, snapshots):
        from lifetimes import BetaGeoFitter, GammaGammaFitter, ParetoNBDFitter
        r = present_of(snapshots).rfm
        x, t_x, T = r['frequency'], r['recency']/7, r['T']/7
        paid = r[(r['frequency'] > 0) & (r['monetary_value'] > 0)]
        with warnings.catch_warnings(), np.errstate(all='ignore'):
            warnings.simplefilter('ignore')
            self.models = [converged(f, x, t_x, T) for f in (ParetoNBDFitter, BetaGeoFitter)]
            self.spend = converged(GammaGammaFitter, paid['frequency'], paid['monetary_value'])

    def ask(self, snapshot):
        r, weeks = snapshot.rfm, snapshot.horizon.days/7
        with warnings.catch_warnings(), np.errstate(all='ignore'):
            warnings.simplefilter('ignore')
            n, other = (np.asarray(m.conditional_expected_number_of_purchases_up_to_time(weeks, r['frequency'], r['recency']/7, r['T']/7), float) for m in self.models)
            money = np.asarray(self.spend.conditional_expected_average_profit(r['frequency'], r['monetary_value'].fillna(0.)), float)
        self.patched = int((~np.isfinite(n) | (n < 0)).sum())
        n = np.where(np.isfinite(n) & (n >= 0), n, np.nan_to_num(other))
        return {'ulv': n * np.maximum(np.nan_to_num(money), 0), 'expected_purchases': n, 'p_purchase': -np.expm1(-n)}

@register('lightgbm by hand')
class ByHand(Peer):
    "What is written in an afternoon: a classifier of buyers and a Tweedie regression, learnt from the newest origin whose outcome is known."
    def learn(self, snapshots):
        import lightgbm as lgb
        last = snapshots[-1]; self.columns = list(last.features)
        x, y = last.features.to_numpy(float), last.labels['value'].to_numpy()
        def fit(objective, y): return lgb.train(dict(objective=objective, learning_rate=.05, num_leaves=31, verbosity=-1, seed=self.seed), lgb.Dataset(x, y), 200)
        self.value, self.buys = fit('tweedie', y), fit('binary', (y > 0).astype(float)) if 0 < (y > 0).mean() < 1 else None

    def ask(self, snapshot):
        x = snapshot.features.reindex(columns=self.columns).to_numpy(float)
        value, ratio = self.value.predict(x), self.horizon_ratio(snapshot)
        return {'ulv': value*ratio, **({'p_purchase': 1 - (1 - self.buys.predict(x))**ratio} if self.buys else {})}

@register('torch lstm, ziln')
class TorchLSTM(Peer):
    "An LSTM in PyTorch over the events of each customer, with the zero-inflated lognormal loss of Wang and others (2019)."
    def steps(self, s):
        import torch
        n, values, longest = s.sequences.lengths, s.sequences.values, int(max(s.sequences.lengths.max(), 1))
        at = np.arange(longest) < n[:, None]
        x = np.zeros((len(n), longest, values.shape[1] + 1), np.float32)
        x[at] = np.c_[np.sign(values)*np.log1p(np.abs(values)), s.sequences.kind]
        return torch.from_numpy(x), torch.from_numpy(np.maximum(n, 1))

    def learn(self, snapshots, hidden=64, epochs=6, batch=512):
        import torch
        from torch.nn.utils.rnn import pack_padded_sequence
        torch.manual_seed(self.seed); torch.set_num_threads(2)
        net = torch.nn.ModuleDict({'lstm': torch.nn.LSTM(snapshots[-1].sequences.values.shape[1] + 1, hidden, batch_first=True), 'out': torch.nn.Linear(hidden, 3)})
        parts = [(self.steps(s), torch.from_numpy(s.labels['value'].to_numpy(np.float32))) for s in snapshots]
        self.unit, self.net = float(np.concatenate([y[y > 0] for _, y in parts]).mean()), net
        adam = torch.optim.Adam(net.parameters(), 2e-3)
        self.forward = lambda x, n: net['out'](net['lstm'](pack_padded_sequence(x, n, batch_first=True, enforce_sorted=False))[1][0][-1])
        for _ in range(epochs):
            for (x, n), y in parts:
                for rows in torch.randperm(len(y)).split(batch):
                    adam.zero_grad(); self.loss(self.forward(x[rows], n[rows]), y[rows]/self.unit).backward()
                    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.); adam.step()

    def loss(self, a, y):
        import torch
        bought, sd = (y > 0).float(), torch.nn.functional.softplus(a[:, 2]).clamp(min=.05)
        some = torch.distributions.LogNormal(a[:, 1], sd).log_prob(y.clamp(min=1e-3))
        return (torch.nn.functional.binary_cross_entropy_with_logits(a[:, 0], bought, reduction='none') - bought*some).mean()

    def ask(self, snapshot):
        import torch
        with torch.inference_mode(): a = torch.cat([self.forward(x, n) for x, n in zip(*(t.split(4096) for t in self.steps(snapshot)))])
        p, sd = torch.sigmoid(a[:, 0]), torch.nn.functional.softplus(a[:, 2]).clamp(.05, 3.)
        value, ratio = p*torch.exp(a[:, 1] + sd*sd/2)*self.unit, self.horizon_ratio(snapshot)
        return {'ulv': value.double().numpy()*ratio, 'p_purchase': p.double().numpy()}
