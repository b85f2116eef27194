"""Philox4x32-10: published vectors, uniformity, independence of its arguments, bounds."""

from __future__ import annotations

import ctypes
import itertools
import shutil
import subprocess

import numpy as np
import pytest
from scipy import special, stats

from biosnn import rng
from biosnn.rng import (
    counter_normal,
    counter_poisson,
    counter_uniform,
    inverse_normal,
    philox4x32,
)

ARGUMENTS = ("seed", "stream", "epoch", "sample", "unit", "draw")

#: Known answers of the authors' Random123 library (kat_vectors): counter, key, output.
VECTORS = (
    (
        (0x00000000, 0x00000000, 0x00000000, 0x00000000),
        (0x00000000, 0x00000000),
        (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
    ),
    (
        (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
)


@pytest.mark.parametrize(("counter", "key", "output"), VECTORS, ids=["zeros", "ones", "pi"])
def test_known_answers(counter: tuple, key: tuple, output: tuple) -> None:
    words = philox4x32(counter, key)
    assert [int(word) for word in words] == list(output)
    assert all(word.dtype == np.uint32 for word in words)


def test_known_answers_all_at_once() -> None:
    counters, keys, outputs = (np.array(part).T for part in zip(*VECTORS, strict=True))
    words = philox4x32(tuple(counters), tuple(keys))
    np.testing.assert_array_equal(words, outputs)


def test_uniform_puts_the_first_two_words_into_52_bits() -> None:
    counter, (seed, stream), output = VECTORS[2]
    draw, unit, sample, epoch = counter
    value = counter_uniform(seed, stream, epoch, sample, unit, draw)
    bits = ((output[0] >> 6) << 26) + (output[1] >> 6)
    assert float(value) == (bits + 0.5) / 2**52


@pytest.mark.parametrize("varied", ARGUMENTS)
def test_uniform_along_every_argument(varied: str) -> None:
    """Counting up any one argument gives uniform numbers without serial correlation."""
    base = dict.fromkeys(ARGUMENTS, 3)
    values = counter_uniform(**{**base, varied: np.arange(20_000)})
    assert np.unique(values).size == values.size
    assert stats.kstest(values, "uniform").pvalue > 1e-3
    # Correlations of 20,000 independent pairs have a standard deviation of 0.007.
    for lag in (1, 2, 16):
        assert abs(np.corrcoef(values[:-lag], values[lag:])[0, 1]) < 0.03


@pytest.mark.parametrize("varied", ARGUMENTS)
def test_neighbours_are_independent(varied: str) -> None:
    """Two streams whose arguments differ by one have nothing to do with each other."""
    other = "draw" if varied != "draw" else "unit"
    base = dict.fromkeys(ARGUMENTS, 5)
    along = {**base, other: np.arange(20_000)}
    first, second = counter_uniform(**along), counter_uniform(**{**along, varied: 6})
    assert first.std() > 0.28
    assert (first != second).all()
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03
    # The joint distribution is flat too: chi-squared over a 10x10 grid.
    counts, _, _ = np.histogram2d(first, second, bins=10, range=[[0, 1], [0, 1]])
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3


def test_every_argument_has_a_place_of_its_own() -> None:
    """No two orders of the same six numbers give the same draw."""
    orders = np.array(list(itertools.permutations(range(1, 7)))).T
    values = counter_uniform(*orders)
    assert values.size == 720
    assert np.unique(values).size == 720


@pytest.mark.parametrize("word", [0x00000000, 0x0000003F, 0xFFFFFFC0, 0xFFFFFFFF])
def test_interval_is_open(word: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest and the largest words that the generator can put out stay inside (0, 1)."""
    extreme = np.full(3, word, dtype=np.uint32)
    monkeypatch.setattr(rng, "philox4x32", lambda counter, key: (extreme,) * 4)
    values = counter_uniform(1, 2, 3, 4, 5, [6, 7, 8])
    assert ((values > 0) & (values < 1)).all()
    assert np.isfinite(np.log(values)).all()
    nearest = 2.0**-53 if word < 2**31 else 1 - 2.0**-53
    assert values.tolist() == [nearest] * 3


def test_broadcasting() -> None:
    sample, unit, draw = np.arange(3)[:, None, None], np.arange(4)[None, :, None], np.arange(1, 6)
    values = counter_uniform(9, 8, 7, sample, unit, draw)
    assert values.shape == (3, 4, 5)
    assert values.dtype == np.float64
    for k, u, d in itertools.product(range(3), range(4), range(5)):
        assert values[k, u, d] == counter_uniform(9, 8, 7, k, u, d + 1)
    assert counter_uniform(1, 2, 3, 4, 5, 6).shape == ()
    assert counter_uniform(1, 2, 3, 4, [], 6).shape == (0,)


def test_integers_count_modulo_two_to_the_32() -> None:
    """As in C, where the arguments are 32-bit words: -1 is 2**32 - 1, whatever the dtype."""
    signed = counter_uniform(-1, -2, -3, -4, -5, -6)
    unsigned = counter_uniform(*(2**32 - k for k in range(1, 7)))
    narrow = counter_uniform(*(np.int32(-k) for k in range(1, 7)))
    assert float(signed) == float(unsigned) == float(narrow)
    assert float(signed) != float(counter_uniform(1, 2, 3, 4, 5, 6))


def test_arguments_are_not_changed() -> None:
    arguments = [np.arange(4, dtype=np.int32) for _ in range(6)]
    counter_uniform(*arguments)
    assert all((argument == np.arange(4)).all() for argument in arguments)


def test_quantiles_of_the_normal_distribution() -> None:
    """Against SciPy's, from the centre to the smallest and the largest probability of a draw."""
    u = np.concatenate([np.linspace(0.001, 0.999, 999), 2.0 ** -np.arange(2, 54)])
    assert inverse_normal(0.5) == 0
    expected = special.ndtri(u)
    np.testing.assert_allclose(inverse_normal(u), expected, rtol=2e-15, atol=2e-15)
    np.testing.assert_array_equal(inverse_normal(1 - u[999:]), -inverse_normal(u[999:]))
    assert inverse_normal(2.0**-53) == pytest.approx(-8.2095, abs=1e-4)


def test_normal_numbers() -> None:
    """Moments within four of their standard errors, and the distribution's shape."""
    n = 100_000
    values = counter_normal(1, 2, 3, 4, np.arange(n), 5)
    for power, moment, squared in ((1, 0, 1), (2, 1, 3), (3, 0, 15), (4, 3, 105)):
        error = 4 * np.sqrt((squared - moment**2) / n)
        assert abs((values**power).mean() - moment) < error
    assert stats.kstest(values, "norm").pvalue > 1e-3
    assert counter_normal(1, 2, 3, 4, 5, [6, 7]).shape == (2,)
    assert counter_normal(1, 2, 3, 4, 5, 6).shape == ()


@pytest.mark.parametrize("mean", [0.01, 0.5, 1.0, 3.7, 15.99, 16.0, 100.5, 5000.0])
def test_poisson_numbers(mean: float) -> None:
    n = 50_000
    drawn = counter_poisson(mean, 1, 2, 3, 4, np.arange(n), 5)
    assert drawn.dtype == np.int32
    assert abs(drawn.mean() - mean) < 4 * np.sqrt(mean / n)
    assert abs(drawn.var() - mean) < 4 * np.sqrt((mean + 2 * mean**2) / n)
    edges = np.unique(stats.poisson.ppf(np.linspace(0.02, 0.98, 13), mean))
    expected = n * np.diff(stats.poisson.cdf([-1, *edges, np.inf], mean))
    found, _ = np.histogram(drawn, [-np.inf, *(edges + 0.5), np.inf])
    assert stats.chisquare(found, expected).pvalue > 1e-3


def test_means_of_poisson_numbers_at_their_ends() -> None:
    assert counter_poisson([0.0, -1.0, np.nan], 1, 2, 3, 4, 5, 6).tolist() == [0, 0, 0]
    huge = counter_poisson([1e12, np.inf], 1, 2, 3, 4, 5, 6)
    assert (abs(huge - rng.MAX_MEAN) < 6 * np.sqrt(rng.MAX_MEAN)).all()
    mixed = counter_poisson([0.0, 2.0, 2e4], 1, 2, 3, 4, np.arange(3), 6)
    alone = [int(counter_poisson(m, 1, 2, 3, 4, k, 6)) for k, m in enumerate((0.0, 2.0, 2e4))]
    assert mixed.tolist() == alone
    assert counter_poisson(3.0, *np.arange(6)).shape == ()


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
def test_c_gives_the_bits_of_numpy(tmp_path) -> None:
    n = 20_000
    source = f"""#include <cmath>
#include <cstdint>
{rng.C_SOURCE}{rng.C_NORMAL}{rng.C_POISSON}
extern "C" void draw(int n, const double *means, double *normal, int32_t *poisson)
{{
    for (int k = 0; k < n; k++) {{
        normal[k] = counter_normal(1, -2, 3, 4, k, 5);
        poisson[k] = counter_poisson(means[k], 1, -2, 3, 4, k, 6);
    }}
}}"""
    (tmp_path / "draw.cpp").write_text(source)
    command = ["g++", "-O2", "-ffp-contract=off", "-shared", "-fPIC", "draw.cpp", "-o", "draw.so"]
    subprocess.run(command, cwd=tmp_path, check=True)
    unit = np.arange(n)
    means = np.exp(3 * counter_normal(7, 7, 7, 7, unit, 7))
    normal, poisson = np.empty(n), np.empty(n, np.int32)
    places = [a.ctypes.data_as(ctypes.c_void_p) for a in (means, normal, poisson)]
    ctypes.CDLL(str(tmp_path / "draw.so")).draw(n, *places)
    assert np.abs(normal).max() > 3.5
    assert poisson.max() > 1000
    np.testing.assert_array_equal(normal, counter_normal(1, -2, 3, 4, unit, 5))
    np.testing.assert_array_equal(poisson, counter_poisson(means, 1, -2, 3, 4, unit, 6))
