"""Where a recording comes from, as plain data for those who read it elsewhere."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import attrs

from biosnn.program.interface import Interface
from biosnn.recording import Recording
from biosnn.simulation.run_loop.options import RunOptions
from biosnn.version import __version__


def now() -> str:
    """The present date and time with its zone, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def with_origin(
    recording: Recording,
    interface: Interface,
    device: str,
    started: str,
    seed: int | None = None,
    options: RunOptions | None = None,
) -> Recording:
    """A recording that knows its network, device, seed and when its run was started."""
    known: dict[str, Any] = {
        "network": interface.name,
        "fingerprint": interface.fingerprint,
        "device": device,
        "precision": interface.precision,
        "seed": seed,
        "epoch": None if options is None else options.first_epoch,
        "first_sample": None if options is None else options.first_sample,
        "biosnn": __version__,
        "started": started,
    }
    return attrs.evolve(recording, about=_known(known))


def with_origin_of_job(recording: Recording, manifest: Mapping[str, Any]) -> Recording:
    """A recording that knows what the manifest of its job says."""
    identity = manifest["identity"]
    known = {
        "network": identity.get("network"),
        "fingerprint": identity.get("declaration"),
        "device": manifest["device"],
        "precision": identity.get("precision"),
        "seed": identity.get("seed"),
        "epoch": identity.get("first_epoch"),
        "first_sample": identity.get("first_sample"),
        "biosnn": __version__,
    }
    return attrs.evolve(recording, about=_known(known))


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
