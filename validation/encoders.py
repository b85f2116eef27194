"""Random encoders against their laws: counts and intervals of Poisson and Bernoulli trains.

The same checks are made on the array functions and on the input populations of a compiled network.
With ``p`` the expected number of spikes per time step:

- *Poisson.* Spikes that fall into an occupied step move on to the next one. None is lost, so the
  Fano factor of counts stays 1, without the dead-time correction ``(1 - p)**2`` that dropping them
  would need. What still waits when the time is over is missing from the mean count: on average
  ``p**2/(2*(1 - p))`` spikes, the queue behind a server that takes one per step. After a spike
  the next one is waiting already with probability ``q``, where ``1 - q = (1 - p)*(exp(p) - 1)/p``
  makes the mean interval ``1/p``; else the interval is exponential, rounded up to steps.
- *Bernoulli.* Counts are binomial, with Fano factor ``1 - p``, and intervals geometric.

Intervals are whole steps, so each one is spread over its own piece of the distribution function,
``u = F(k - 1) + v*(F(k) - F(k - 1))`` with ``v`` uniform, which makes ``u`` exactly uniform if the
law is right, and the Kolmogorov-Smirnov test exact. That the test can fail is a check as well: the
law of a rate that is 10 % higher must be refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import Hz, ms, second
from scipy import stats

from biosnn import encoding, simulation
from biosnn.networks import Input, NetworkModel, Population, Presentation
from validation._checks import check

SEED = 4
DT = 1 * ms
#: A figure this unlikely under the law, two-sided, is a breach.
LEVEL = 1e-4
MAX_RATE = 1000 * Hz
#: Steps over which spikes are counted for the Fano factor.
WINDOW = 500
KINDS = ("poisson", "bernoulli")


def poisson_law(p: float, k: np.ndarray) -> np.ndarray:
    """Probability that an interval of a Poisson train is at most ``k`` steps."""
    waiting = 1 - (1 - p) * np.expm1(p) / p
    return np.where(k < 1, 0.0, waiting + (1 - waiting) * -np.expm1(-p * k))


def bernoulli_law(p: float, k: np.ndarray) -> np.ndarray:
    """Probability that an interval of a Bernoulli train is at most ``k`` steps."""
    return np.where(k < 1, 0.0, 1 - (1 - p) ** k)


LAWS = {"poisson": poisson_law, "bernoulli": bernoulli_law}


def intervals(spikes: np.ndarray) -> np.ndarray:
    """Intervals in steps within each train of shape (n, T, units).

    Only those that begin in the first half: a train that ends cuts off long intervals.
    """
    trains = np.moveaxis(spikes, 1, -1)
    *train, step = np.nonzero(trains)
    number = np.ravel_multi_index(train, trains.shape[:-1])
    whole = (np.diff(number) == 0) & (step[:-1] < spikes.shape[1] / 2)
    return np.diff(step)[whole]


def distance(kind: str, p: float, gaps: np.ndarray) -> tuple[float, float]:
    """Kolmogorov-Smirnov distance of intervals from a law, and its p-value."""
    law = LAWS[kind]
    spread = np.random.default_rng(SEED).random(len(gaps))
    below, upto = law(p, gaps - 1), law(p, gaps)
    result = stats.kstest(below + spread * (upto - below), "uniform")
    return float(result.statistic), float(result.pvalue)


def figures(kind: str, p: float, spikes: np.ndarray) -> dict[str, Any]:
    """All checks on trains (n, T, units) with ``p`` expected spikes per step."""
    n_samples, n_steps, n_units = spikes.shape
    counts, law = spikes.sum(axis=1), p * n_steps
    fano = 1.0
    if kind == "bernoulli":
        fano = 1 - p
    else:
        law -= p**2 / (2 * (1 - p))
    z = (counts.mean() - law) / np.sqrt(fano * law / counts.size)
    sigmas = stats.norm.isf(LEVEL / 2)
    parts = spikes.reshape(n_samples, -1, WINDOW, n_units).sum(axis=2)
    found = parts.var(ddof=1) / parts.mean()
    # Standard deviation of the variance of counts near a normal law, over their mean.
    allowed = sigmas * fano * np.sqrt(2 / (parts.size - 1))
    gaps = intervals(spikes)
    apart, p_value = distance(kind, p, gaps)
    wrong, _ = distance(kind, min(1.1 * p, 1 - 1e-9), gaps)
    furthest = stats.kstwobign.isf(LEVEL) / np.sqrt(len(gaps))
    return {
        "activity": check(counts.sum(), 1000, counts.sum() > 1000),
        "mean_count_z": check(z, sigmas, abs(z) < sigmas, mean=float(counts.mean()), law=law),
        "fano_factor_error": check(
            found - fano, allowed, abs(found - fano) < allowed, fano=float(found), law=fano
        ),
        "intervals_ks": check(
            apart, furthest, apart < furthest, p_value=p_value, n=len(gaps)
        ),
        "intervals_ks_of_wrong_rate": check(wrong, furthest, wrong > furthest),
    }  # fmt: skip


def arrays(kind: str, p: float, duration: Any, units: int) -> np.ndarray:
    """Trains of the array function."""
    encode = getattr(encoding, f"{kind}_spikes")
    samples = np.full((1, units), p)
    return encode(samples, max_rate=MAX_RATE, duration=duration, dt=DT, seed=SEED)


def populations(
    probabilities: tuple[float, ...], duration: Any, units: int, device: str
) -> dict[str, Any]:
    """Trains of both input populations of a compiled network, kind -> array per probability."""
    net = NetworkModel(
        name="encoders",
        dt=DT,
        inputs={"x": Input(features=units)},
        populations={
            kind: Population(
                model=getattr(encoding, kind)(max_rate=MAX_RATE), n=units, drives={"x": "x"}
            )
            for kind in KINDS
        },
        presentation=Presentation(duration=duration),
        output="poisson",
    )
    runnable = simulation.compile(net, device=device, spikes=KINDS)
    samples = np.repeat(np.array(probabilities)[:, None], units, axis=1)
    recording, _ = runnable.run(samples, seed=SEED, progress=False)
    played = {}
    for kind, spikes in recording.spikes.items():
        trains = np.zeros((len(samples), net.duration_steps, units), dtype=bool)
        step = np.round(spikes.t / float(DT)).astype(int)
        trains[spikes.sample, step, spikes.i] = True
        played[kind] = list(trains[:, None])
    return played


def validate(*, short: bool) -> dict[str, Any]:
    """Hold the random encoders to their laws.

    Parameters
    ----------
    short : bool
        Fewer and shorter trains, and the network on the device "runtime" instead of "cpp".

    Returns
    -------
    dict
        Where the trains come from -> kind and probability per step -> check -> ``value``,
        ``bound``, ``ok``.
    """
    probabilities = (0.05, 0.4) if short else (0.01, 0.05, 0.2, 0.4, 0.7)
    duration, units = (1 * second, 500) if short else (20 * second, 200)
    made = {
        "array": {
            kind: [arrays(kind, p, duration, units) for p in probabilities] for kind in KINDS
        },
        "compiled_network": populations(
            probabilities, duration, units, "runtime" if short else "cpp"
        ),
    }
    return {
        source: {
            f"{kind}_{p:g}_per_step": figures(kind, p, trains)
            for kind in KINDS
            for p, trains in zip(probabilities, by_kind[kind], strict=True)
        }
        for source, by_kind in made.items()
    }
