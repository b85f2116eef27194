"""Declared networks as torch modules and in Brian2: the same spikes, potentials and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import Hz, Mohm, ms, mV, nA, nS

from biosnn import encoding, models, networks, simulation
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from biosnn.recording import Recording
from biosnn.state import State

torch = pytest.importorskip("torch")

from biosnn.surrogate import address_events, to_torch  # noqa: E402

TOLERANCE = 1e-12
N_IN, N_HIDDEN, N_OUT, N_SAMPLES = 30, 12, 6, 3
DISCRETE = models.neuron(
    name="Discrete",
    equations="dv/dt = -v/tau_m : 1",
    threshold="v >= V_th",
    reset="v = 0",
    parameters={"tau_m": 10 * ms, "V_th": 1.0},
)


@pytest.fixture(autouse=True)
def _double(fresh_brian2: None) -> Any:
    """Modules of double precision, the same draws in every test."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(before)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def network(
    populations: dict[str, Population],
    projections: dict[str, Projection],
    *,
    steps: int = 200,
    rest: int = 10,
    dt: Any = 0.1 * ms,
    source: Any = None,
    spec: Input | None = None,
) -> NetworkModel:
    """Inputs to ``hidden`` to ``out``."""
    encoder = encoding.address_events() if source is None else source
    return NetworkModel(
        name="net",
        dt=dt,
        inputs={"x": spec or Input(features=N_IN, kind="events")},
        populations={
            "inp": Population(model=encoder, n=N_IN, drives={"x": "x"}),
            **populations,
        },
        projections=projections,
        presentation=Presentation(duration=steps * dt, rest=rest * dt),
        output="out",
    )


def spikes_for(model: NetworkModel, probability: float = 0.03) -> Any:
    shape = (model.duration_steps, N_SAMPLES, N_IN)
    return (torch.rand(shape) < probability).double()


def in_brian2(
    model: NetworkModel, samples: Any, state: State, names: tuple[str, ...] = ("hidden", "out")
) -> Recording:
    """Shown to Brian2's NumPy target in double precision."""
    shown = address_events(samples, model.dt) if samples.dim() == 3 else samples.numpy()
    if samples.dim() == 3:
        shown = {"x": shown["events"], "n_samples": shown["n_samples"]}
    runnable = simulation.compile(
        model,
        device="runtime",
        precision="double",
        spikes=names,
        per_sample=tuple(f"{name}.count" for name in names),
        traces={f"{name}.v": range(model.populations[name].n) for name in names},
    )
    start = runnable.initial_state().transferred(state)
    return runnable.run(shown, state=start, seed=4, progress=False)[0]


def check_equal(model: NetworkModel, samples: Any, *, least: int = 20, **options: Any) -> Any:
    """Compare spikes and potentials in both orders with Brian2's; gives the first module."""
    names = ("hidden", "out")
    modules = [
        to_torch(model, order=order, normalise=False, **options) for order in ("layer", "step")
    ]
    recording = in_brian2(model, samples, modules[0].state())
    outputs = []
    for module in modules:
        outputs.append(module(samples, record=[*names, *(f"{n}.v" for n in names)], seed=4))
        outputs[-1].sum().backward()
        for name in names:
            spikes = module.recorded[name].detach().numpy()
            assert spikes.sum() >= least, f"{name} is silent"
            np.testing.assert_array_equal(spikes.sum(0), recording.counts(name))
            v = module.recorded[f"{name}.v"].detach().numpy()
            theirs = recording.traces[f"{name}.v"].values
            theirs = theirs.reshape(v.shape[::-1])  # The end of a step begins the next one.
            assert np.abs(v.transpose(2, 1, 0)[..., :-1] - theirs[..., 1:]).max() <= TOLERANCE
            raster, found = np.zeros_like(spikes), recording.spikes[name]
            raster[np.rint(found.t / float(model.dt)).astype(int), found.sample, found.i] = 1
            np.testing.assert_array_equal(spikes, raster)
    torch.testing.assert_close(*outputs, rtol=0, atol=0)
    one, other = (dict(m.named_parameters()) for m in modules)
    assert all(p.grad is not None for p in one.values())
    for key, parameter in one.items():
        assert parameter.grad.abs().max() > 0, f"no gradient reaches {key}"
        torch.testing.assert_close(parameter.grad, other[key].grad, rtol=1e-9, atol=1e-300)
    return modules[0]


# --- layers with conductances


def conductances(delays: tuple[Any, Any, Any], **model: Any) -> NetworkModel:
    cell = models.lif_conductance_based(**model)
    r = rng()
    return network(
        {
            "hidden": Population(model=cell, n=N_HIDDEN),
            "second": Population(model=cell, n=N_HIDDEN),
            "out": Population(model=cell, n=N_OUT),
        },
        {
            "a": Projection(
                pre="inp",
                post="hidden",
                transmit="g_e_post += w",
                weights=r.uniform(0, 0.5, (N_IN, N_HIDDEN)),
                delay=delays[0],
            ),
            "b": Projection(
                pre="hidden",
                post="second",
                transmit="g_e_post += w",
                weights=r.uniform(0, 1.5, (N_HIDDEN, N_HIDDEN)),
                delay=delays[1],
            ),
            "c": Projection(
                pre="second",
                post="out",
                transmit="g_e_post += w",
                weights=r.uniform(0, 1.5, (N_HIDDEN, N_OUT)),
                delay=delays[2],
            ),
        },
        steps=400,
    )


def test_three_layers_of_conductances_with_delays() -> None:
    model = conductances((0 * ms, 1.5 * ms, 0.7 * ms))
    check_equal(model, spikes_for(model, 0.02))


def test_a_delay_of_each_synapse() -> None:
    delays = rng().integers(0, 20, N_IN * N_HIDDEN) * 0.1 * ms
    model = conductances((delays, 1 * ms, 0 * ms))
    check_equal(model, spikes_for(model, 0.02))


def test_trained_weights_and_constants_go_back_to_brian2() -> None:
    model = conductances((0 * ms, 0.3 * ms, 0.2 * ms), t_ref=2 * ms)
    samples = spikes_for(model, 0.02)
    trained = ("a", "b", "c", "hidden.tau_m", "hidden.V_th", "out.tau_e")
    module = to_torch(model, train=trained)
    before = module(samples).sum(0)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.05)
    for _ in range(2):
        optimiser.zero_grad()
        (module(samples).mean(0) - 0.02).square().mean().mul(1e3).backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.step()
    changed = {k: c.quantity for k, c in module.trained["hidden"].items()}
    assert changed["tau_m"] != 20 * ms
    assert changed["V_th"] != -50 * mV
    after = module(samples).sum(0).detach().numpy()
    assert (after != before.detach().numpy()).any()
    recording = in_brian2(module.network, samples, module.state())
    np.testing.assert_array_equal(after, recording.counts("out"))


# --- recurrence and other wiring


def recurrent(**more: Projection) -> NetworkModel:
    r = rng()
    return network(
        {
            "hidden": Population(model=DISCRETE, n=N_HIDDEN),
            "out": Population(model=DISCRETE, n=N_OUT),
        },
        {
            "a": Projection(
                pre="inp",
                post="hidden",
                transmit="v_post += w",
                weights=r.normal(0.1, 0.3, (N_IN, N_HIDDEN)),
            ),
            "b": Projection(
                pre="hidden",
                post="out",
                transmit="v_post += w",
                weights=r.normal(0.2, 0.4, (N_HIDDEN, N_OUT)),
                delay=3 * ms,
            ),
            **more,
        },
        dt=1 * ms,
        steps=60,
        rest=5,
    )


def test_recurrence_and_feedback() -> None:
    model = recurrent(
        lateral=Projection(
            pre="hidden",
            post="hidden",
            transmit="v_post -= w",
            weights=rng().uniform(0, 0.3, N_HIDDEN * (N_HIDDEN - 1)),
            pairs="all_but_self",
            delay=1 * ms,
        ),
        back=Projection(pre="out", post="hidden", transmit="v_post += w", weights=0.1),
    )
    check_equal(model, spikes_for(model, 0.1))


def test_sparse_pairs() -> None:
    chosen = rng().random((N_IN, N_HIDDEN)) < 0.3
    dense = np.where(chosen, rng().uniform(0.1, 0.6, chosen.shape), 0.0)
    model = recurrent(
        a=Projection(pre="inp", post="hidden", transmit="v_post += w", **sparse(dense))
    )
    module = check_equal(model, spikes_for(model, 0.1))
    assert module.weights["a"].shape == (chosen.sum(),)


def sparse(matrix: np.ndarray) -> dict[str, Any]:
    pairs, weights = networks.from_matrix(matrix)
    return {"pairs": pairs, "weights": weights}


# --- synapses of the library

SYNAPSES: dict[str, tuple[Any, float]] = {
    "delta": (lambda: models.delta(), 3.0),
    "exponential_current": (lambda: models.exponential_current(I_max=1 * nA), 1.0),
    "alpha_current": (lambda: models.alpha_current(I_max=1 * nA), 1.0),
    "difference_of_exponentials_current": (
        lambda: models.difference_of_exponentials_current(I_max=1 * nA),
        1.0,
    ),
    "exponential_conductance": (lambda: models.exponential_conductance(g_max=20 * nS), 1.0),
    "alpha_conductance": (lambda: models.alpha_conductance(g_max=20 * nS), 1.0),
    "ampa": (lambda: models.ampa(g_max=20 * nS), 1.0),
    "nmda": (lambda: models.nmda(g_max=20 * nS), 2.0),
}


def with_synapse(synapse: Any, strength: float, **more: Any) -> NetworkModel:
    cell = models.lif(R=100 * Mohm).with_synapses(exc=synapse)
    r = rng()
    return network(
        {
            "hidden": Population(model=cell, n=N_HIDDEN),
            "out": Population(model=cell, n=N_OUT),
        },
        {
            "a": Projection(
                pre="inp",
                post="hidden",
                synapse="exc",
                weights=strength * r.uniform(0, 0.6, (N_IN, N_HIDDEN)),
                **more,
            ),
            "b": Projection(
                pre="hidden",
                post="out",
                synapse="exc",
                weights=strength * r.uniform(0, 3.0, (N_HIDDEN, N_OUT)),
                delay=0.4 * ms,
            ),
        },
        steps=400,
    )


@pytest.mark.parametrize("name", SYNAPSES)
def test_synapses_of_the_library(name: str) -> None:
    make, strength = SYNAPSES[name]
    model = with_synapse(make(), strength)
    check_equal(model, spikes_for(model, 0.04))


def test_short_term_plasticity() -> None:
    current = models.exponential_current(I_max=1 * nA)
    model = with_synapse(current, 2.0, short_term=models.tsodyks_markram())
    module = check_equal(model, spikes_for(model, 0.04))
    plain = to_torch(with_synapse(current, 2.0), normalise=False)
    samples = spikes_for(model, 0.04)
    assert module(samples).sum() != plain(samples).sum()


def test_gap_junctions() -> None:
    cell = models.lif(R=100 * Mohm).with_synapses(
        exc=models.exponential_current(I_max=1 * nA),
        gap=models.gap_junction(g_max=2 * nS),
    )
    base = with_synapse(models.exponential_current(I_max=1 * nA), 1.0)
    model = network(
        {"hidden": Population(model=cell, n=N_HIDDEN), "out": Population(model=cell, n=N_OUT)},
        {
            **base.projections,
            "coupled": Projection(
                pre="hidden", post="hidden", synapse="gap", weights=1.0, pairs="all_but_self"
            ),
        },
        steps=400,
    )
    check_equal(model, spikes_for(model, 0.04))


# --- inputs


def shown_statically(source: Any, **spec: Any) -> NetworkModel:
    r = rng()
    return network(
        {
            "hidden": Population(model=DISCRETE, n=N_HIDDEN),
            "out": Population(model=DISCRETE, n=N_OUT),
        },
        {
            "a": Projection(
                pre="inp",
                post="hidden",
                transmit="v_post += w",
                weights=r.normal(0.1, 0.3, (N_IN, N_HIDDEN)),
            ),
            "b": Projection(
                pre="hidden",
                post="out",
                transmit="v_post += w",
                weights=r.normal(0.2, 0.4, (N_HIDDEN, N_OUT)),
            ),
        },
        dt=1 * ms,
        steps=60,
        rest=0,
        source=source,
        spec=Input(features=N_IN, **spec),
    )


@pytest.mark.parametrize("code", ["poisson", "bernoulli", "regular"])
def test_encoded_inputs_draw_what_brian2_draws(code: str) -> None:
    source = getattr(encoding, code)(max_rate=200 * Hz)
    model = shown_statically(source)
    images = torch.rand(N_SAMPLES, N_IN)
    module = check_equal(model, images)
    if code != "regular":
        one, same, other = (module(images, seed=seed).detach() for seed in (4, 4, 5))
        assert torch.equal(one, same)
        assert not torch.equal(one, other)
        ids = torch.tensor([2, 0, 1])
        moved = module(images[ids], seed=4, sample_ids=ids)
        assert torch.equal(moved, one[:, ids])


def test_a_sequence_of_frames() -> None:
    model = shown_statically(encoding.poisson(max_rate=200 * Hz), kind="sequence", frame=20 * ms)
    frames = torch.rand(N_SAMPLES, 3, N_IN)
    module = to_torch(model, normalise=False)
    y = module(frames, record=("hidden", "out"), seed=4)
    runnable = simulation.compile(model, device="runtime", per_sample=("hidden.count", "out.count"))
    start = runnable.initial_state().transferred(module.state())
    recording, _ = runnable.run(frames.numpy(), start, seed=4, progress=False)
    assert y.sum() > 20
    for name in ("hidden", "out"):
        found = module.recorded[name].sum(0).detach().numpy()
        np.testing.assert_array_equal(found, recording.counts(name))
    shuffled = module(frames.flip(1), seed=4)
    assert not torch.equal(shuffled, y)


# --- single precision


def test_single_precision_stays_close() -> None:
    model = conductances((0 * ms, 1.5 * ms, 0.7 * ms))
    samples = spikes_for(model, 0.02)
    double = to_torch(model)
    torch.set_default_dtype(torch.float32)
    single = to_torch(model)
    assert single.weights["a"].dtype == torch.float32
    one = double(samples, record=("hidden", "hidden.v"))
    other = single(samples.float(), record=("hidden", "hidden.v"))
    assert other.dtype == torch.float32
    assert one.sum() > 20
    v = [module.recorded["hidden.v"].detach().double() for module in (double, single)]
    assert v[1].dtype == torch.float64
    assert (v[0] - v[1]).abs().median() < 1e-7
    same = (double.recorded["hidden"] == single.recorded["hidden"]).double().mean()
    assert same > 0.999
