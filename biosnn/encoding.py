"""Encoders: from arrays to rates, currents and spike trains, and back.

Most encoders exist twice, with the same meaning and the same spikes:

- as an *input population* (:func:`poisson`, :func:`latency`, :func:`delta`, ...), a neuron model
  that plays the samples inside the network, whatever the device;
- as an *array function* (:func:`poisson_spikes`, :func:`latency_spikes`, ...) from samples to
  spike trains of shape (n, T, units), or to currents.

Array functions take intensities: floating-point numbers from 0 to 1, or bytes, of which 255
means 1 (:func:`intensities`). Input populations play floating-point numbers as they are.

Receptive fields (:func:`gaussian_fields`, :func:`on_off_contrast`) turn values into other values,
which any encoder may take. ``decode_*`` are the inverse where there is one. :data:`ENCODERS` lists
the library by name.

All of them raise a ParameterError for a wrong unit, or a number outside its bounds, and a DataError
for arrays of another shape, values that are no intensities or not finite, and spikes that are
neither 0 nor 1.

Random draws are counter-based (``biosnn.rng``): sample ``k`` gets the same spikes whatever the
chunk, the process or the device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from biosnn._encoding.checks import check_samples, intensities, scale_norm
from biosnn._encoding.decoding import (
    decode_burst,
    decode_delta,
    decode_latency,
    decode_phase,
    decode_rank_order,
    decode_ranks,
    decode_rate,
    rank_table,
)
from biosnn._encoding.direct import address_events, direct, direct_current
from biosnn._encoding.pattern_codes import burst, burst_spikes, phase, phase_spikes
from biosnn._encoding.rate_codes import (
    bernoulli,
    bernoulli_spikes,
    poisson,
    poisson_spikes,
    regular,
    regular_spikes,
)
from biosnn._encoding.receptive_fields import decode_fields, gaussian_fields, on_off_contrast
from biosnn._encoding.sequences import delta, delta_spikes, on_off
from biosnn._encoding.timing_codes import (
    latency,
    latency_spikes,
    rank_order,
    rank_order_spikes,
    ranks,
)

#: The library by name: its array function and the factory of its input population, or None.
ENCODERS: dict[str, tuple[Callable[..., Any] | None, Callable[..., Any] | None]] = {
    "poisson": (poisson_spikes, poisson),
    "bernoulli": (bernoulli_spikes, bernoulli),
    "regular": (regular_spikes, regular),
    "direct": (direct_current, direct),
    "address_events": (None, address_events),
    "latency": (latency_spikes, latency),
    "rank_order": (rank_order_spikes, rank_order),
    "phase": (phase_spikes, phase),
    "burst": (burst_spikes, burst),
    "delta": (delta_spikes, delta),
    "population": (gaussian_fields, None),
    "on_off_contrast": (on_off_contrast, None),
}
__all__ = [
    "ENCODERS",
    "address_events",
    "bernoulli",
    "bernoulli_spikes",
    "burst",
    "burst_spikes",
    "check_samples",
    "decode_burst",
    "decode_delta",
    "decode_fields",
    "decode_latency",
    "decode_phase",
    "decode_rank_order",
    "decode_ranks",
    "decode_rate",
    "delta",
    "delta_spikes",
    "direct",
    "direct_current",
    "gaussian_fields",
    "intensities",
    "latency",
    "latency_spikes",
    "on_off",
    "on_off_contrast",
    "phase",
    "phase_spikes",
    "poisson",
    "poisson_spikes",
    "rank_order",
    "rank_order_spikes",
    "rank_table",
    "ranks",
    "regular",
    "regular_spikes",
    "scale_norm",
]
