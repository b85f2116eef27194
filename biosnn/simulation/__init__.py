"""Compile a network for a device and run samples through it.

>>> from biosnn import networks, simulation
>>> network = networks.winner_take_all(784, 100)
>>> runnable = simulation.compile(network, device="cpp", precision="single")  # doctest: +SKIP
>>> recording, state = runnable.run(images, learn=True, seed=1)  # doctest: +SKIP
"""

from biosnn.simulation.compilation import (
    AUTO,
    DEVICES,
    Bundle,
    BundleReplay,
    BundleWriter,
    Choice,
    Ensemble,
    Runnable,
    TraceOf,
    active,
    choices,
    compile,
    ensemble,
    load,
    open_bundle,
    quiet_builds,
)

__all__ = [
    "AUTO",
    "DEVICES",
    "Bundle",
    "BundleReplay",
    "BundleWriter",
    "Choice",
    "Ensemble",
    "Runnable",
    "TraceOf",
    "active",
    "choices",
    "compile",
    "ensemble",
    "load",
    "open_bundle",
    "quiet_builds",
]
