"""What cannot be run is refused in plain words, and what only looks odd is run as it is.

Every refusal names what was given, says in one sentence what would have been accepted or what to
do, and has the type that the documentation promises.
"""

from __future__ import annotations

import json
import re
import shutil
from functools import cached_property
from pathlib import Path

import attrs
import numpy as np
import pytest
from brian2 import Hz, ms, mV, second
from filelock import FileLock

from biosnn import encoding as encoders
from biosnn import models, networks, simulation
from biosnn.devices.base.artifact import MANIFEST, seal
from biosnn.errors import BiosnnError, DataError, DeviceError, ParameterError, StorageError
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from biosnn.program.interface import TraceOf
from biosnn.state import State

N_INPUTS, N_SAMPLES = 20, 6
RNG = np.random.default_rng(5)
# Multiples of 1/256: exact in every floating-point type.
IMAGES = (RNG.integers(0, 257, (N_SAMPLES, N_INPUTS)) / 256).astype(np.float32)

SENTENCE_ENDS = re.compile(r"[a-z)'\"]\. [A-Z]")


def wta(encoding: str = "poisson", **settings) -> NetworkModel:
    defaults = {"theta": 25.0, "weight_norm": 4.0, "homeostasis": 0.5, "max_rate": 300 * Hz}
    return networks.winner_take_all(N_INPUTS, 6, encoding=encoding, **{**defaults, **settings})


def two_inputs() -> NetworkModel:
    """Cells driven by a sequence, and a source of address events."""
    cell = models.lif(t_ref=2 * ms).extended(
        "x : 1", models.Operation(code="I = x*60*nA", on="input")
    )
    return NetworkModel(
        name="two_inputs",
        dt=1 * ms,
        inputs={
            "frames": Input(features=3, kind="sequence", frame=10 * ms),
            "events": Input(features=4, kind="events"),
        },
        populations={
            "cells": Population(model=cell, n=3, drives={"x": "frames"}),
            "source": Population(model=encoders.address_events(), n=4, drives={"x": "events"}),
        },
        presentation=Presentation(duration=40 * ms, rest=10 * ms),
        output="cells",
    )


class Kit:
    """Networks for all cases, compiled when the first case asks for them."""

    def __init__(self, base: Path):
        self.base = base

    @cached_property
    def live(self):
        """Poisson inputs, on the device runtime; it records spikes."""
        return simulation.compile(wta(), "runtime", spikes=("exc",))

    @cached_property
    def two(self):
        return simulation.compile(two_inputs(), "runtime")

    @cached_property
    def binary(self):
        """Direct currents, compiled; it records spikes."""
        return simulation.compile(  # the build of test_engine.py
            wta("direct", theta=60.0),
            "cpp",
            math="strict",
            per_sample=("exc.count", "exc.t_first"),
            spikes=("exc",),
        )

    @cached_property
    def finished_run(self) -> Path:
        """The folder of a run of the binary."""
        recording, _ = self.binary.run(IMAGES, folder=self.base / "run", checkpoint_every=4)
        assert recording.counts("exc").sum() > 0
        return self.base / "run"

    @cached_property
    def exported(self) -> Path:
        return self.binary.export(self.base / "artifact")


@attrs.define
class Case:
    """What a case may use: the networks, a folder of its own, a way to provoke failures."""

    kit: Kit
    tmp: Path
    patch: pytest.MonkeyPatch

    def run(self, samples=IMAGES, *arguments, **options):
        return self.kit.live.run(samples, *arguments, **options)

    def run_binary(self, samples=IMAGES, *arguments, **options):
        return self.kit.binary.run(samples, *arguments, **options)

    def run_two(self, frames=None, events=None, **more):
        """Run the network with a sequence and events, of which one is given."""
        if frames is None:
            frames = np.ones((2, 4, 3))
        if events is None:
            events = ([0, 1], [0, 3], [0.0, 0.039])
        return self.kit.two.run({"frames": frames, "events": events, **more})

    def with_state(self, **changes):
        state = self.kit.live.initial_state()
        arrays = {key: changes.get(key.replace(".", "_"), state[key]) for key in state}
        return self.run(IMAGES, State({k: v for k, v in arrays.items() if v is not None}))

    def compile(self, device="runtime", network=None, **options):
        return simulation.compile(wta() if network is None else network, device, **options)

    def used(self, **options):
        """Resume a copy of a finished run with other arguments."""
        folder = self.copy_of_run()
        given = {"checkpoint_every": 4, "resume": True, "samples": IMAGES, **options}
        return self.run_binary(given.pop("samples"), folder=folder, **given)

    def copy_of_run(self) -> Path:
        return shutil.copytree(self.kit.finished_run, self.tmp / "run")

    def broken_run(self, name: str, content: bytes | None):
        """Resume a copy of a finished run in which the newest file of a name is another one."""
        folder = self.copy_of_run()
        path = sorted(folder.glob(name))[-1]
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        return self.run_binary(folder=folder, checkpoint_every=4, resume=True)

    def blocked(self):
        folder = self.tmp / "run"
        folder.mkdir()
        with FileLock(folder / "run.lock"):
            return self.run(folder=folder)

    def file(self) -> Path:
        path = self.tmp / "file"
        path.write_text("not a folder")
        return path

    def read_only(self, call):
        def refused(*_, **__):
            raise PermissionError(13, "Permission denied")

        with self.patch.context() as patch:
            patch.setattr(Path, "mkdir", refused)
            return call()

    def rewritten(self, change):
        """Open a copy of an artifact whose manifest was changed and sealed again."""
        folder = shutil.copytree(self.kit.exported, self.tmp / "artifact")
        manifest = json.loads((folder / MANIFEST).read_text())
        (folder / MANIFEST).unlink()
        del manifest["sha256"]
        change(manifest)
        seal(folder, manifest)
        return simulation.load(folder)

    def damaged(self, name: str, content: bytes):
        folder = shutil.copytree(self.kit.exported, self.tmp / "artifact")
        (folder / name).write_bytes(content)
        return simulation.load(folder)

    def with_compiler(self, script: str | None):
        path = self.tmp / "no-such-compiler"
        if script is not None:
            path.write_text(script)
            path.chmod(0o755)
        self.patch.setenv("CXX", str(path))
        return self.compile("cpp", wta("direct", theta=64.0))

    def with_cache(self, folder: Path):
        self.patch.setenv("BIOSNN_CACHE_DIR", str(folder))
        return self.compile("cpp", wta("direct", theta=64.0))


def changed(value, *place, dtype=np.float32):
    """The images with one other value."""
    images = IMAGES.astype(dtype)
    images[place or (2, 3)] = value
    return images


def broken_stream():
    yield IMAGES[:2]
    yield IMAGES[2:4]
    yield changed(np.nan, 5, 3)[4:]


def declared(**changes) -> NetworkModel:
    return attrs.evolve(wta("direct"), **changes)


def with_projection(network: NetworkModel, **settings) -> NetworkModel:
    given = {"pre": "inp", "post": "exc", "transmit": "v_post += w", "weights": 1.0, **settings}
    projections = {**network.projections, "extra": Projection(**given)}
    return attrs.evolve(network, projections=projections)


SAMPLES = {
    "one dimension": (lambda c: c.run(IMAGES[0]), DataError, "'image' (n, 20) (20,)"),
    "three dimensions": (lambda c: c.run(IMAGES[None]), DataError, "'image' (n, 20) (1, 6, 20)"),
    "a number": (lambda c: c.run(5), DataError, "'image' (n, 20) ()"),
    "too few features": (lambda c: c.run(IMAGES[:, :5]), DataError, "'image' (n, 20) (6, 5)"),
    "no samples": (lambda c: c.run(IMAGES[:0]), DataError, "'image' (n, 20) (0, 20)"),
    "an empty list": (lambda c: c.run([]), DataError, "'image' (n, 20) (0,)"),
    "rows of two lengths": (lambda c: c.run([[0.5] * 20, [0.5] * 19]), DataError, "'image'"),
    "nan": (lambda c: c.run(changed(np.nan)), DataError, "'image' finite nan (2, 3)"),
    "inf": (lambda c: c.run(changed(np.inf)), DataError, "'image' finite inf (2, 3)"),
    "-inf": (lambda c: c.run(changed(-np.inf)), DataError, "'image' finite -inf (2, 3)"),
    "negative rate": (lambda c: c.run(changed(-0.5)), DataError, "'image' >= 0 -0.5 (2, 3)"),
    "negative integer": (lambda c: c.run(-np.ones((2, 20), int)), DataError, "'image' >= 0 -1"),
    "pixels": (
        lambda c: c.run((IMAGES * 255).astype(np.uint8)),
        DataError,
        "'image' integers up to 255 divide pixels by 255",
    ),
    "pixels as floats": (
        lambda c: c.run(IMAGES * 255),
        DataError,
        "'image' more than one spike per time step above 3.333 max_rate",
    ),
    "text": (lambda c: c.run(np.full((2, 20), "a")), DataError, "'image' numbers <U1"),
    "a word": (lambda c: c.run("images.npy"), DataError, "stream arrays or dicts str"),
    "objects": (lambda c: c.run(IMAGES.astype(object)), DataError, "'image' numbers object"),
    "complex": (lambda c: c.run(IMAGES + 1j), DataError, "'image' numbers complex64"),
    "dates": (lambda c: c.run(IMAGES.astype("m8[s]")), DataError, "'image' numbers timedelta64"),
    "None": (lambda c: c.run(None), DataError, "'image' missing"),
    "None in a dict": (lambda c: c.run({"image": None}), DataError, "'image' missing"),
    "unknown input": (
        lambda c: c.run({"image": IMAGES, "picture": IMAGES}),
        DataError,
        "no input 'picture' only image",
    ),
    "no input": (lambda c: c.run({}), DataError, "'image' missing"),
    "an array for two inputs": (
        lambda c: c.kit.two.run(np.ones((2, 4, 3))),
        DataError,
        "two_inputs frames, events dict",
    ),
    "one of two inputs": (
        lambda c: c.kit.two.run({"frames": np.ones((2, 4, 3))}),
        DataError,
        "'events' missing",
    ),
    "inputs of two lengths": (
        lambda c: c.run_two(events=([0, 4], [0, 1], [0.0, 0.01])),
        DataError,
        "'frames' 2 samples expected 5",
    ),
    "too many frames": (
        lambda c: c.run_two(np.ones((2, 5, 3))),
        DataError,
        "'frames' 5 frames only 4 0.01 s 0.04 s",
    ),
    "no frames": (lambda c: c.run_two(np.ones((2, 0, 3))), DataError, "'frames' (2, 0, 3)"),
    "wide frames": (
        lambda c: c.run_two(np.ones((2, 4, 4))),
        DataError,
        "'frames' (n, T, 3) (2, 4, 4)",
    ),
    "frames of a static input": (
        lambda c: c.run_two(np.ones((2, 3))),
        DataError,
        "'frames' (n, T, 3) (2, 3)",
    ),
    "nan in a frame": (
        lambda c: c.run_two(np.where(np.arange(24).reshape(2, 4, 3) == 19, np.nan, 1.0)),
        DataError,
        "'frames' finite nan (1, 2, 1)",
    ),
    "a unit too many": (
        lambda c: c.run_two(events=([0], [4], [0.0])),
        DataError,
        "'events' unit [0, 4) got 4",
    ),
    "a negative unit": (
        lambda c: c.run_two(events=([0], [-1], [0.0])),
        DataError,
        "'events' unit [0, 4) got -1",
    ),
    "a negative sample": (
        lambda c: c.run_two(events=([-1], [0], [0.0])),
        DataError,
        "'events' sample [0, got -1",
    ),
    "a negative time": (
        lambda c: c.run_two(events=([0], [0], [-0.01])),
        DataError,
        "'events' time [0, 40) got -10",
    ),
    "a time in the rest": (
        lambda c: c.run_two(events=([0], [0], [0.04])),
        DataError,
        "'events' time [0, 40) got 40",
    ),
    "a time in ms": (
        lambda c: c.run_two(events=([0], [0], [12.0])),
        DataError,
        "'events' time [0, 40) got 12000",
    ),
    "a nan time": (
        lambda c: c.run_two(events=([0], [0], [np.nan])),
        DataError,
        "'events' time [0, 40) got nan",
    ),
    "a time as text": (
        lambda c: c.run_two(events=([0], [0], ["1"])),
        DataError,
        "'events' time numbers <U1",
    ),
    "units as floats": (
        lambda c: c.run_two(events=([0], [1.5], [0.0])),
        DataError,
        "'events' unit whole numbers float64",
    ),
    "samples as floats": (
        lambda c: c.run_two(events=([0.0], [1], [0.0])),
        DataError,
        "'events' sample whole numbers float64",
    ),
    "events of two lengths": (
        lambda c: c.run_two(events=([0, 1], [1], [0.0, 0.0])),
        DataError,
        "'events' one length (2,) (1,)",
    ),
    "two arrays of events": (
        lambda c: c.run_two(events=([0, 1], [1, 2])),
        DataError,
        "'events' three arrays (sample, unit, time)",
    ),
    "a number for events": (lambda c: c.run_two(events=3), DataError, "'events' three arrays"),
    "n_samples too small": (
        lambda c: c.run_two(n_samples=1),
        DataError,
        "'frames' 2 samples expected 1",
    ),
    "n_samples zero": (lambda c: c.run_two(n_samples=0), DataError, "'n_samples' > 0 got 0"),
    "n_samples text": (lambda c: c.run_two(n_samples="2"), DataError, "'n_samples' > 0 got '2'"),
    "intensity zero": (
        lambda c: c.run({"image": IMAGES, "intensity": [1.0] * 5 + [0.0]}),
        DataError,
        "'intensity' > 0 (5, 0)",
    ),
    "intensity negative": (
        lambda c: c.run({"image": IMAGES, "intensity": [-1.0] * 6}),
        DataError,
        "'intensity' > 0 -1.0 (0, 0)",
    ),
    "intensity of another length": (
        lambda c: c.run({"image": IMAGES, "intensity": [1.0] * 5}),
        DataError,
        "'intensity' 5 samples expected 6",
    ),
    "intensity nan": (
        lambda c: c.run({"image": IMAGES, "intensity": [np.nan] * 6}),
        DataError,
        "'intensity' finite nan (0, 0)",
    ),
    "one intensity for all": (
        lambda c: c.run({"image": IMAGES, "intensity": 2.0}),
        DataError,
        "'intensity' (n, 1) ()",
    ),
    "intensity without samples": (
        lambda c: c.run({"intensity": [1.0]}),
        DataError,
        "'image' missing",
    ),
    "intensity raises rates too far": (
        lambda c: c.run({"image": IMAGES, "intensity": [1.0] * 5 + [1000.0]}),
        DataError,
        "'intensity'",
    ),
    "masked values": (
        lambda c: c.run(np.ma.masked_greater(IMAGES, 0.5)),
        DataError,
        "'image' mask",
    ),
    "rates with a unit": (lambda c: c.run(IMAGES * Hz), DataError, "'image' unit"),
}

STREAMS = {
    "of lists": (
        lambda c: c.run(list(map(float, row)) for row in IMAGES),
        DataError,
        "stream arrays or dicts list",
    ),
    "of numbers": (lambda c: c.run(iter(range(3))), DataError, "stream arrays or dicts int"),
    "of None": (lambda c: c.run(iter([IMAGES[0], "end"])), DataError, "arrays or dicts str"),
    "of another width": (
        lambda c: c.run_binary(iter([IMAGES[:2], IMAGES[2:, :5]])),
        DataError,
        "'image' (n, 20) (4, 5)",
    ),
    "with other inputs": (
        lambda c: c.run_binary(
            iter([{"image": IMAGES[0]}, {"image": IMAGES[1], "intensity": 2.0}])
        ),
        DataError,
        "sample 1 other inputs",
    ),
    "with other inputs in another chunk": (
        lambda c: c.run_binary(
            iter([{"image": IMAGES[0]}, {"image": IMAGES[1], "intensity": 2.0}]), chunk_size=1
        ),
        DataError,
        "sample 1 other inputs",
    ),
    "with an unknown input": (
        lambda c: c.run_binary({"picture": row} for row in IMAGES),
        DataError,
        "no input 'picture' only image",
    ),
    "nan in the third batch": (
        lambda c: c.run_binary(broken_stream()),
        DataError,
        "'image' finite nan",
    ),
    "nan at its place": (
        lambda c: c.run_binary(broken_stream()),
        DataError,
        "'image' finite nan (5, 3)",
    ),
    "without samples": (lambda c: c.run_binary(iter([])), DataError, "samples empty"),
    "an iterator for two epochs": (
        lambda c: c.kit.binary.fit(iter(IMAGES), epochs=2, horizon=12),
        ParameterError,
        "samples begins anew iterator",
    ),
    "no horizon": (
        lambda c: c.kit.binary.fit(iter(IMAGES)),
        ParameterError,
        "run.horizon stream None",
    ),
    "shorter than the run before": (
        lambda c: c.used(samples=iter(IMAGES), horizon=6),
        StorageError,
        "holds another run same arguments",
    ),
}

STATES = {
    "a dict": (
        lambda c: c.run(IMAGES, dict(c.kit.live.initial_state())),
        DataError,
        "state must be a State dict initial_state()",
    ),
    "missing variable": (
        lambda c: c.with_state(exc_theta=None),
        DataError,
        "lacks 'exc.theta' initial_state()",
    ),
    "wrong shape": (
        lambda c: c.with_state(exc_theta=np.ones(7)),
        DataError,
        "'exc.theta' shape (6,) (7,)",
    ),
    "a matrix": (
        lambda c: c.with_state(inp_exc_w=np.ones((20, 6))),
        DataError,
        "'inp_exc.w' shape (120,) (20, 6)",
    ),
    "nan weight": (
        lambda c: c.with_state(inp_exc_w=np.where(np.arange(120) == 9, np.nan, 1.0)),
        DataError,
        "'inp_exc.w' finite nan index 9",
    ),
    "infinite threshold": (
        lambda c: c.with_state(exc_theta=np.full(6, np.inf)),
        DataError,
        "'exc.theta' finite inf index 0",
    ),
    "text": (
        lambda c: c.with_state(exc_theta=np.full(6, "a")),
        DataError,
        "'exc.theta' numbers",
    ),
    "complex": (
        lambda c: c.with_state(exc_theta=np.full(6, 1 + 1j)),
        DataError,
        "'exc.theta' numbers",
    ),
    "half a sample seen": (
        lambda c: c.with_state(protocol_seen=np.array([1.5])),
        DataError,
        "'protocol.seen' whole",
    ),
}


def whole_number(name: str, obj: str = "run"):
    return f"{obj}.{name} must be a whole number from"


ARGUMENTS = {
    "seed negative": (lambda c: c.run(seed=-1), ParameterError, whole_number("seed")),
    "seed a fraction": (lambda c: c.run(seed=1.5), ParameterError, whole_number("seed")),
    "seed True": (lambda c: c.run(seed=True), ParameterError, whole_number("seed")),
    "seed too large": (lambda c: c.run(seed=2**31), ParameterError, whole_number("seed")),
    "seed None": (lambda c: c.run(seed=None), ParameterError, whole_number("seed")),
    "seed text": (lambda c: c.run(seed="1"), ParameterError, whole_number("seed")),
    "seed of a state": (
        lambda c: c.kit.live.initial_state(-1),
        ParameterError,
        whole_number("seed", "initial_state"),
    ),
    "epoch negative": (lambda c: c.run(epoch=-1), ParameterError, whole_number("epoch")),
    "epoch too large": (lambda c: c.run(epoch=2**22 + 1), ParameterError, whole_number("epoch")),
    "first_sample": (lambda c: c.run(first_sample=-1), ParameterError, "run.first_sample"),
    "last sample too large": (
        lambda c: c.run(first_sample=2**31 - 3),
        ParameterError,
        "run.first_sample",
    ),
    "horizon": (lambda c: c.run(horizon=0), ParameterError, whole_number("horizon")),
    "chunk_size": (lambda c: c.run(chunk_size=0), ParameterError, whole_number("chunk_size")),
    "chunk_size 2.0": (lambda c: c.run(chunk_size=2.0), ParameterError, "run.chunk_size 2.0"),
    "n_jobs": (lambda c: c.run_binary(n_jobs=0), ParameterError, whole_number("n_jobs")),
    "n_jobs -1": (lambda c: c.run_binary(n_jobs=-1), ParameterError, "run.n_jobs from 1 -1"),
    "n_jobs on runtime": (
        lambda c: c.run(n_jobs=2),
        ParameterError,
        'run.n_jobs 1 on the device "runtime" cpp',
    ),
    "n_jobs while learning": (
        lambda c: c.run_binary(n_jobs=2, learn=True),
        ParameterError,
        "run.n_jobs 1 together with learn",
    ),
    "n_jobs in a folder": (
        lambda c: c.run_binary(n_jobs=2, folder=c.tmp / "run"),
        ParameterError,
        "run.n_jobs 1 together with folder",
    ),
    "n_jobs with a stream": (
        lambda c: c.run_binary(iter(IMAGES), n_jobs=2),
        ParameterError,
        "run.n_jobs 1 with a stream",
    ),
    "epochs": (lambda c: c.kit.live.fit(IMAGES, epochs=0), ParameterError, "fit.epochs from 1"),
    "epochs too many": (
        lambda c: c.kit.live.fit(IMAGES, epochs=2**23),
        ParameterError,
        "fit.epochs 8388608",
    ),
    "first_epoch": (
        lambda c: c.kit.live.fit(IMAGES, first_epoch=-1),
        ParameterError,
        "fit.first_epoch -1",
    ),
    "keep": (lambda c: c.run(keep=0, folder=c.tmp), ParameterError, whole_number("keep")),
    "checkpoint_every": (
        lambda c: c.run(checkpoint_every=0, folder=c.tmp),
        ParameterError,
        whole_number("checkpoint_every"),
    ),
    "checkpoints nowhere": (
        lambda c: c.run(checkpoint_every=5),
        ParameterError,
        "run.checkpoint_every folder=",
    ),
    "resume nowhere": (lambda c: c.run(resume=True), ParameterError, "run.resume folder="),
    "memory_limit": (lambda c: c.run(memory_limit=0), ParameterError, "run.memory_limit from 1"),
    "memory_limit 1e6": (lambda c: c.run(memory_limit=1e6), ParameterError, "run.memory_limit"),
    "memory_limit below the counts": (
        lambda c: c.run(memory_limit=6 * (4 + 4 * 6) - 1),
        ParameterError,
        "run.memory_limit recorded folder=",
    ),
    "memory_limit below the spikes": (
        # Beside the spikes: shown, exc.count and exc.t_first of every sample.
        lambda c: c.run_binary(memory_limit=6 * (4 + (4 + 8) * 6) + 1),
        ParameterError,
        "run.memory_limit spikes folder=",
    ),
    "learn": (lambda c: c.run(learn=("exc_pool",)), ParameterError, "run.learn (inp_exc)"),
    "learn a word": (lambda c: c.run(learn="exc_inp"), ParameterError, "run.learn (inp_exc)"),
    "learn None": (lambda c: c.run(learn=None), ParameterError, "run.learn None"),
    "memory of no samples": (
        lambda c: c.kit.live.memory(0),
        ParameterError,
        whole_number("n_samples", "memory"),
    ),
}

COMPILES = {
    "device": (
        lambda c: c.compile("gpu"),
        ParameterError,
        "compile.device 'runtime' or 'cpp' 'gpu'",
    ),
    "precision": (lambda c: c.compile(precision="half"), ParameterError, "compile.precision"),
    "math": (lambda c: c.compile("cpp", math="loose"), ParameterError, "compile.math strict"),
    "target": (lambda c: c.compile(target="c"), ParameterError, "compile.target 'numpy'"),
    "population": (
        lambda c: c.compile(per_sample=("out.count",)),
        ParameterError,
        "compile.per_sample inp, exc, pool 'out.count'",
    ),
    "variable": (
        lambda c: c.compile(per_sample=("exc.u",)),
        ParameterError,
        "compile.per_sample exc's theta 'exc.u'",
    ),
    "a word for per_sample": (
        lambda c: c.compile(per_sample="exc.count"),
        ParameterError,
        "compile.per_sample 'exc.count'",
    ),
    "count of no spikes": (
        lambda c: c.compile(per_sample=("pool.count",)),
        ParameterError,
        "compile.per_sample pool's 'pool.count'",
    ),
    "linked variable": (
        lambda c: c.compile(per_sample=("exc.wins",)),
        ParameterError,
        "compile.per_sample exc's 'exc.wins'",
    ),
    "spikes of none": (lambda c: c.compile(spikes=("pool",)), ParameterError, "spikes 'pool'"),
    "spikes of nobody": (lambda c: c.compile(spikes=("out",)), ParameterError, "spikes 'out'"),
    "a word for spikes": (lambda c: c.compile(spikes="exc"), ParameterError, "spikes 'exc'"),
    "a list of traces": (lambda c: c.compile(traces=["exc.v"]), ParameterError, "compile.traces"),
    "index too large": (
        lambda c: c.compile(traces={"exc.v": [6]}),
        ParameterError,
        "compile.traces['exc.v'] indices from 0 to 5 [6]",
    ),
    "index negative": (lambda c: c.compile(traces={"exc.v": [-1]}), ParameterError, "0 to 5 [-1]"),
    "no index": (lambda c: c.compile(traces={"exc.v": []}), ParameterError, "0 to 5 []"),
    "True for all": (lambda c: c.compile(traces={"exc.v": True}), ParameterError, "0 to 5 True"),
    "indices as floats": (lambda c: c.compile(traces={"exc.v": [0.5]}), ParameterError, "[0.5]"),
    "trace of a synapse's unknown variable": (
        lambda c: c.compile(traces={"inp_exc.z": [0]}),
        ParameterError,
        "compile.traces one of inp_exc's w 'inp_exc.z'",
    ),
    "every does not divide": (
        lambda c: c.compile(traces={"exc.v": TraceOf([0], every=3 * ms)}),
        ParameterError,
        "compile.traces['exc.v'].every divides a presentation 3. ms",
    ),
    "every below the time step": (
        lambda c: c.compile(traces={"exc.v": TraceOf([0], every=0.5 * ms)}),
        ParameterError,
        "compile.traces['exc.v'].every multiple of the time step 0.5 ms",
    ),
    "every zero": (
        lambda c: c.compile(traces={"exc.v": TraceOf([0], every=0 * ms)}),
        ParameterError,
        "compile.traces['exc.v'].every > 0",
    ),
    "every in mV": (
        lambda c: c.compile(traces={"exc.v": TraceOf([0], every=3 * mV)}),
        ParameterError,
        "compile.traces['exc.v'].every quantity in s 3. mV",
    ),
    "every without unit": (
        lambda c: c.compile(traces={"exc.v": TraceOf([0], every=5)}),
        ParameterError,
        "compile.traces['exc.v'].every quantity in s 5",
    ),
    "snapshots every 0": (
        lambda c: c.compile(snapshots={"exc.theta": 0}),
        ParameterError,
        "compile.snapshots['exc.theta'] >= 1 0",
    ),
    "snapshots every 2.0": (
        lambda c: c.compile(snapshots={"exc.theta": 2.0}),
        ParameterError,
        "compile.snapshots['exc.theta'] whole 2.0",
    ),
    "snapshots of nothing": (
        lambda c: c.compile(snapshots={"inp_out.w": 2}),
        ParameterError,
        "compile.snapshots inp_exc 'inp_out.w'",
    ),
    "snapshots without weights": (
        lambda c: c.compile(snapshots={"exc_pool.w": 2}),
        ParameterError,
        "compile.snapshots inp_exc 'exc_pool.w'",
    ),
    "a list of snapshots": (
        lambda c: c.compile(snapshots=["exc.theta"]),
        ParameterError,
        "compile.snapshots",
    ),
    "a word for a network": (
        lambda c: simulation.compile("winner_take_all"),
        ParameterError,
        "compile.network NetworkModel",
    ),
    "no such event": (
        lambda c: c.compile(network=with_projection(wta("direct"))),
        ParameterError,
        "on_event 'spike'",
    ),
    "pairs of nobody": (
        lambda c: c.compile(network=with_projection(wta(), pairs=([0, 99], [0, 1]))),
        ParameterError,
        "pairs 99",
    ),
    "pairs of two lengths": (
        lambda c: c.compile(network=with_projection(wta(), pairs=([0, 1, 2], [0, 1]))),
        ParameterError,
        "pairs",
    ),
    "too few weights": (
        lambda c: c.compile(network=with_projection(wta(), weights=np.ones(7))),
        ParameterError,
        "weights 7",
    ),
    "nan weights": (
        lambda c: c.compile(network=with_projection(wta(), weights=np.nan)),
        ParameterError,
        "weights finite",
    ),
}

DECLARATIONS = {
    "dt in Hz": (lambda c: declared(dt=1 * Hz), ParameterError, "dt quantity in s 1. Hz"),
    "dt without unit": (lambda c: declared(dt=1e-3), ParameterError, "dt quantity in s 0.001"),
    "dt negative": (lambda c: declared(dt=-1 * ms), ParameterError, "dt > 0 s"),
    "dt and duration": (lambda c: declared(dt=0.07 * ms), ParameterError, "duration 70. us"),
    "rest and dt": (
        lambda c: declared(presentation=Presentation(duration=24 * ms, rest=0.5 * ms)),
        ParameterError,
        "Presentation.rest multiple of the time step",
    ),
    "duration zero": (lambda c: Presentation(duration=0 * ms), ParameterError, "duration > 0 s"),
    "duration nan": (
        lambda c: Presentation(duration=np.nan * second),
        ParameterError,
        "Presentation.duration > 0 s",
    ),
    "negative rate": (lambda c: wta(max_rate=-1 * Hz), ParameterError, "poisson.max_rate > 0"),
    "rate in ms": (lambda c: wta(max_rate=1 * ms), ParameterError, "poisson.max_rate quantity"),
    "bernoulli": (
        lambda c: wta("bernoulli", max_rate=2000 * Hz),
        ParameterError,
        "BernoulliInput.max_rate 1/dt 1000 Hz",
    ),
    "input called intensity": (
        lambda c: declared(inputs={"image": Input(features=20), "intensity": Input(features=1)}),
        ParameterError,
        "names 'intensity' protocol",
    ),
    "population called protocol": (
        lambda c: declared(
            populations={**wta().populations, "protocol": Population(model=models.lif(), n=1)}
        ),
        ParameterError,
        "names 'protocol' intensity",
    ),
    "a name with a dot": (
        lambda c: declared(inputs={"image": Input(features=20), "a.b": Input(features=1)}),
        ParameterError,
        "names 'a.b' identifier",
    ),
    "unknown population": (
        lambda c: with_projection(wta(), post="nobody"),
        ParameterError,
        "projections['extra'] exc, inp, pool 'nobody'",
    ),
    "unknown output": (lambda c: declared(output="out"), ParameterError, "output 'out' exc"),
    "unknown input": (
        lambda c: declared(inputs={"picture": Input(features=20)}),
        ParameterError,
        "drives picture 'image'",
    ),
    "features": (
        lambda c: declared(inputs={"image": Input(features=19)}),
        ParameterError,
        "populations['inp'].n features 'image' (19) 20",
    ),
    "no features": (lambda c: Input(features=0), ParameterError, "Input.features from 1 0"),
    "features True": (lambda c: Input(features=True), ParameterError, "Input.features from 1 True"),
    "nobody in it": (
        lambda c: Population(model=models.lif(), n=0),
        ParameterError,
        "Population.n from 1 0",
    ),
    "retries": (
        lambda c: Presentation(duration=1 * ms, max_retries=256),
        ParameterError,
        "Presentation.max_retries 255 256",
    ),
}

FOLDERS = {
    "a file": (lambda c: c.run(folder=c.file()), StorageError, "file choose a folder"),
    "below a file": (lambda c: c.run(folder=c.file() / "run"), StorageError, "file choose"),
    "read-only": (
        lambda c: c.read_only(lambda: c.run(folder=c.tmp / "run")),
        StorageError,
        "run Permission denied choose a folder",
    ),
    "not resumed": (lambda c: c.used(resume=False), StorageError, "run holds a run resume=True"),
    "other seed": (lambda c: c.used(seed=3), StorageError, "another run seed 0 3 same arguments"),
    "other samples": (
        lambda c: c.used(samples=IMAGES * np.float32(0.5)),
        StorageError,
        "another run samples_crc32",
    ),
    "fewer samples": (
        lambda c: c.used(samples=IMAGES[:4], horizon=6),
        StorageError,
        "another run samples is 6 4",
    ),
    "other state": (
        lambda c: c.used(state=c.kit.binary.initial_state(7)),
        StorageError,
        "another run state_crc32",
    ),
    "learning": (lambda c: c.used(learn=True), StorageError, "another run learning inp_exc"),
    "other epoch": (lambda c: c.used(epoch=1), StorageError, "another run first_epoch 0 1"),
    "other epochs": (
        lambda c: c.kit.binary.fit(
            IMAGES, learn=False, epochs=2, folder=c.copy_of_run(), resume=True
        ),
        StorageError,
        "another run epochs 1 2",
    ),
    "other network": (
        lambda c: c.run(folder=c.copy_of_run(), resume=True),
        StorageError,
        "another run network winner_take_all_direct winner_take_all_poisson",
    ),
    "in use": (lambda c: c.blocked(), StorageError, "run in use by another process wait"),
    "run.json damaged": (
        lambda c: c.broken_run("run.json", b"{"),
        StorageError,
        "run.json damaged choose",
    ),
    "run.json gone": (
        lambda c: c.broken_run("run.json", None),
        StorageError,
        "run.json damaged choose",
    ),
    "checkpoint truncated": (
        lambda c: c.broken_run("checkpoint-*", b"short"),
        StorageError,
        "checkpoint-000000000006.biosnn delete",
    ),
    "recording truncated": (
        lambda c: c.broken_run("recording/shown", b"1"),
        StorageError,
        "shown damaged 24 bytes copy",
    ),
    "recording gone": (
        lambda c: c.broken_run("recording/spikes.exc.t", None),
        StorageError,
        "spikes.exc.t damaged copy",
    ),
}


def needs(name: str, value):
    def change(manifest):
        manifest["platform"][name] = value

    return change


ARTIFACTS = {
    "export over a folder": (
        lambda c: c.kit.binary.export(c.kit.exported),
        StorageError,
        "artifact exists choose",
    ),
    "export below a file": (
        lambda c: c.kit.binary.export(c.file() / "net"),
        StorageError,
        "net choose a folder",
    ),
    "export read-only": (
        lambda c: c.read_only(lambda: c.kit.binary.export(c.tmp / "a" / "net")),
        StorageError,
        "net Permission denied choose",
    ),
    "export of runtime": (
        lambda c: c.kit.live.export(c.tmp / "net"),
        DeviceError,
        '"runtime" compile it for "cpp"',
    ),
    "no manifest": (lambda c: simulation.load(c.tmp), StorageError, "manifest.json export()"),
    "nothing": (lambda c: simulation.load(c.tmp / "x"), StorageError, "x manifest.json export()"),
    "a file": (lambda c: simulation.load(c.file()), StorageError, "file manifest.json export()"),
    "manifest damaged": (
        lambda c: c.damaged(MANIFEST, b"{}"),
        StorageError,
        "manifest.json damaged copy",
    ),
    "binary damaged": (
        lambda c: c.damaged("main", b"#!/bin/sh\n"),
        StorageError,
        "main damaged SHA-256 copy",
    ),
    "other version": (
        lambda c: c.rewritten(lambda manifest: manifest.update(format=99)),
        StorageError,
        "artifact format version 99 compile",
    ),
    "other CPU": (
        lambda c: c.rewritten(needs("instruction_sets", ["avx1024"])),
        DeviceError,
        "artifact another CPU lacks avx1024 portable=True",
    ),
    "other machine": (
        lambda c: c.rewritten(needs("machine", "riscv128")),
        DeviceError,
        "artifact riscv128 compile",
    ),
    "other system": (
        lambda c: c.rewritten(needs("system", "Plan 9")),
        DeviceError,
        "artifact Plan 9 compile",
    ),
    "no compiler": (
        lambda c: c.with_compiler(None),
        DeviceError,
        'C++ compiler no-such-compiler install device="runtime"',
    ),
    "a compiler that does not start": (
        lambda c: c.with_compiler("#!/bin/sh\nexit 1\n"),
        DeviceError,
        "C++ compiler no-such-compiler set CXX",
    ),
    "the cache is a file": (
        lambda c: c.with_cache(c.file()),
        DeviceError,
        "build cache file BIOSNN_CACHE_DIR",
    ),
    "the cache is read-only": (
        lambda c: c.read_only(lambda: c.with_cache(c.tmp / "cache")),
        DeviceError,
        "build cache Permission denied BIOSNN_CACHE_DIR",
    ),
}

TABLES = {
    "samples": SAMPLES,
    "stream": STREAMS,
    "state": STATES,
    "argument": ARGUMENTS,
    "compile": COMPILES,
    "declaration": DECLARATIONS,
    "folder": FOLDERS,
    "artifact": ARTIFACTS,
}


#: Cases that the engine does not refuse as it should yet.
def cases():
    for area, table in TABLES.items():
        for name, row in table.items():
            yield pytest.param(*row, id=f"{area}: {name}")


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return Kit(tmp_path_factory.mktemp("bad-inputs"))


def has_words(words: str, text: str) -> bool:
    """Whether a text has all words of a list."""
    return all(word in text for word in words.split())


@pytest.mark.parametrize(("call", "error", "words"), cases())
def test_what_cannot_be_is_refused_in_one_sentence(kit, tmp_path, monkeypatch, call, error, words):
    with pytest.raises(BiosnnError) as caught:
        call(Case(kit, tmp_path, monkeypatch))
    text = str(caught.value)
    assert caught.type is error
    assert has_words(words, text), text
    assert "\n" not in text
    assert len(SENTENCE_ENDS.findall(text)) <= 1, text  # a remedy may be a second one


class Lazy:
    """Has a shape, and gives arrays only when it is cut."""

    def __init__(self, array):
        self.shape, self.dtype, self._array = array.shape, array.dtype, array
        self.rows = 0

    def __getitem__(self, key):
        self.rows = max(self.rows, key.stop - key.start)
        return Slice(self._array[key])


class Slice:
    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None, copy=None):
        return self._array if dtype is None else self._array.astype(dtype)


class Sequence:
    """Has a length and items, like a data set, but no shape."""

    def __iter__(self):
        return iter(IMAGES)


def read_only():
    images = IMAGES.copy()
    images.setflags(write=False)
    return images


def mapped(tmp_path):
    path = tmp_path / "images.npy"
    np.save(path, IMAGES)
    return np.load(path, mmap_mode="r")


ODD = {
    "every second column of a larger array": lambda _: np.repeat(IMAGES, 2, axis=1)[:, ::2],
    "backwards twice": lambda _: np.ascontiguousarray(IMAGES[::-1])[::-1],
    "the first half of a larger array": lambda _: np.concatenate([IMAGES, IMAGES])[:N_SAMPLES],
    "Fortran order": lambda _: np.asfortranarray(IMAGES),
    "double": lambda _: IMAGES.astype(np.float64),
    "long double": lambda _: IMAGES.astype(np.longdouble),
    "big-endian double": lambda _: IMAGES.astype(">f8"),
    "big-endian single": lambda _: IMAGES.astype(">f4"),
    "half": lambda _: IMAGES.astype(np.float16),
    "read-only": lambda _: read_only(),
    "lists of lists": lambda _: IMAGES.tolist(),
    "a tuple of arrays": lambda _: tuple(IMAGES),
    "a list of lists of one number": lambda _: [[float(x) for x in row] for row in IMAGES],
    "memory-mapped": mapped,
    "a dict": lambda _: {"image": IMAGES},
    "a dict with n_samples": lambda _: {"image": IMAGES, "n_samples": N_SAMPLES},
    "an optional input that is None": lambda _: {"image": IMAGES, "intensity": None},
    "intensity one": lambda _: {"image": IMAGES, "intensity": np.ones(N_SAMPLES, int)},
    "lazy": lambda _: Lazy(IMAGES),
    "an iterable": lambda _: Sequence(),
    "a generator of samples": lambda _: (row for row in IMAGES),
    "a generator of doubles": lambda _: (row.astype(float) for row in IMAGES),
    "a generator of batches": lambda _: (IMAGES[a:b] for a, b in ((0, 1), (1, 4), (4, 6))),
    "samples and batches in turn": lambda _: iter([IMAGES[0], IMAGES[1:3], IMAGES[3], IMAGES[4:]]),
    "a generator of dicts": lambda _: ({"image": row} for row in IMAGES),
    "a generator of dicts of batches": lambda _: ({"image": IMAGES[k : k + 3]} for k in (0, 3)),
}


@pytest.fixture(scope="module")
def plain(kit):
    """What the plain array gives."""
    recording, state = kit.binary.run(IMAGES, learn=True, horizon=N_SAMPLES)
    assert recording.counts("exc").sum() > 5
    assert state.checksum() != kit.binary.initial_state().checksum()
    return recording, state


@pytest.mark.parametrize("chunk_size", [None, 4])
@pytest.mark.parametrize("name", ODD)
def test_what_only_looks_odd_gives_the_same_result(kit, plain, tmp_path, name, chunk_size):
    expected, end = plain
    samples = ODD[name](tmp_path)
    recording, state = kit.binary.run(samples, learn=True, horizon=N_SAMPLES, chunk_size=chunk_size)
    np.testing.assert_array_equal(recording.counts("exc"), expected.counts("exc"))
    np.testing.assert_array_equal(recording.spikes["exc"].t, expected.spikes["exc"].t)
    np.testing.assert_array_equal(recording.spikes["exc"].sample, expected.spikes["exc"].sample)
    assert state.checksum() == end.checksum()


def test_black_and_white_may_be_bits(kit):
    white = IMAGES > 0.5
    expected, end = kit.live.run(white.astype(np.float32)[:2], learn=True)
    assert expected.counts("exc").sum() > 0
    for kind in (bool, np.uint8, np.int64):
        recording, state = kit.live.run(white.astype(kind)[:2], learn=True)
        np.testing.assert_array_equal(recording.counts("exc"), expected.counts("exc"))
        assert state.checksum() == end.checksum()


def test_lazy_samples_are_cut_into_pieces(kit, monkeypatch):
    monkeypatch.setattr("biosnn.simulation.inputs._BLOCK_BYTES", 100 * 4 * N_INPUTS)
    lazy = Lazy(np.tile(IMAGES, (50, 1)))
    heard = []
    recording, _ = kit.binary.run(lazy, chunk_size=100, progress=lambda *said: heard.append(said))
    assert recording.counts("exc").sum() > 50
    assert heard[-1] == (300, 300)
    assert lazy.rows == 100
