"The picture of README and home page, drawn from what `make demo` wrote: `make demo && .venv/bin/python docs/picture.py`"
import sys
from pathlib import Path
import matplotlib.pyplot as plt
from ulv_jax.evaluation.plots import plot_deciles, plot_gain
from ulv_jax.evaluation.report import read_results

ROOT = Path(__file__).resolve().parent.parent
SHOWN = {'ensemble': 'ensemble', 'persistence_last': 'as in the last 91 days', 'mean': 'the mean for everyone'}

def main(folder):
    results = read_results(folder)
    best = results.of('ensemble')
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.7), layout='constrained')
    plot_deciles(best['actual'], best['ulv'], left, 'USD')
    plot_gain(best['actual'], {words: results.of(name)['ulv'] for name, words in SHOWN.items()}, right)
    out = ROOT/'nbs'/'images'/'demo.png'
    out.parent.mkdir(exist_ok=True)
    figure.savefig(out, dpi=110)

if __name__ == '__main__': main(sys.argv[1] if len(sys.argv) > 1 else ROOT/'ulv-demo')
