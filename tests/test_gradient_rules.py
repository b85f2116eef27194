"""Local gradient rules against explicit sums, against autograd, and by what a readout learns."""

from __future__ import annotations

import functools
from typing import Any

import attrs
import numpy as np
import pytest
from brian2 import Hz, Network, StateMonitor, ms, mV

from biosnn import datasets, encoding, models, networks, plasticity, simulation
from biosnn.errors import ParameterError
from biosnn.models import Normal
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection

DT, STEPS, SAMPLES = 1.0, 60, 2  # DT in ms
N_PRE, N_POST = 6, 3
TAU_M, TAU_SYN, TAU_RISE, TAU_DECAY, TAU_OUT = 10.0, 5.0, 4.0, 9.0, 15.0  # ms
ETA, WIDTH, GAIN = 0.02, 0.3, 0.7
WEIGHTS = np.random.default_rng(1).normal(0.5, 0.3, (N_PRE, N_POST))


# --- one layer, in NumPy ---------------------------------------------------------------------


def fired(n: int, probability: float, seed: int) -> np.ndarray:
    """Random spikes, shape (sample, step, neuron), the last step of a sample without any."""
    trains = np.random.default_rng(seed).random((SAMPLES, STEPS, n)) < probability
    trains[:, -1] = False
    return trains


def events(trains: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same as address events."""
    sample, step, unit = np.nonzero(trains)
    return sample, unit, (step + 0.5) * DT * 1e-3


def decay(tau: float) -> np.ndarray:
    """What is left of a jump after 0, 1, ... steps."""
    return np.exp(-np.arange(STEPS) * DT / tau)


def double(slow: float, fast: float) -> np.ndarray:
    """Response of ``dx/dt = (s - x)/slow``, ``ds/dt = -s/fast`` to a jump of ``s``."""
    return fast / (slow - fast) * (decay(slow) - decay(fast))


def convolved(kernel: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Sum over all earlier steps and the present one, along the first axis."""
    lag = np.arange(STEPS)[:, None] - np.arange(STEPS)
    return np.tensordot(np.where(lag >= 0, kernel[np.abs(lag)], 0.0), signal, axes=1)


def later(kernel: np.ndarray) -> np.ndarray:
    """The same kernel, which does not act in the step of the spike itself."""
    return np.where(np.arange(STEPS) > 0, kernel, 0.0)


def layer(response: np.ndarray, spikes: np.ndarray, weights: np.ndarray):
    """What inputs do to the potential, the potential at the threshold's test, and the spikes."""
    x = convolved(later(response), spikes.astype(float))
    v, z = x @ weights, np.zeros((STEPS, weights.shape[1]))
    for step in range(STEPS):
        z[step] = v[step] > 1
        v[step + 1 :] -= decay(TAU_M)[1 : STEPS - step, None] * z[step]
    return x, v, z


def triangle(v: np.ndarray) -> np.ndarray:
    return 0.3 * np.maximum(0, 1 - np.abs(v - 1) / 0.8)


def fast_sigmoid(v: np.ndarray) -> np.ndarray:
    return (1 + np.abs(v - 1) / WIDTH) ** -2


# --- the same as networks --------------------------------------------------------------------


def timed(
    n_pre: int, n_post: int, weights: Any, rule: plasticity.PlasticityRule, **spike_error: Any
) -> dict[str, dict[str, Any]]:
    """Parts of a network whose neurons learn to fire at desired times."""
    cell = models.neuron(
        name="Timed",
        equations="dv/dt = (I - v)/tau_m : 1\ndI/dt = -I/tau_syn : 1",
        threshold="v > V_th",
        reset="v -= V_th",
        method="exact",
        parameters={"tau_m": TAU_M * ms, "tau_syn": TAU_SYN * ms, "V_th": 1.0},
    )
    source = encoding.address_events()
    return {
        "inputs": {
            "pattern": Input(features=n_pre, kind="events"),
            "desired": Input(features=n_post, kind="events"),
        },
        "populations": {
            "pre": Population(model=source, n=n_pre, drives={"x": "pattern"}),
            "teacher": Population(model=source, n=n_post, drives={"x": "desired"}),
            "post": Population(model=plasticity.spike_error(cell, **spike_error), n=n_post),
        },
        "projections": {
            "timing": Projection(
                pre="pre", post="post", transmit="I_post += w", weights=weights, rule=rule
            ),
            "teaching": Projection(
                pre="teacher", post="post", transmit="L_rise_post += 1", pairs="one_to_one"
            ),
        },
    }


def superspike_network(**settings: Any) -> NetworkModel:
    rule = plasticity.superspike(
        eta=ETA,
        tau_rise=TAU_RISE * ms,
        tau_decay=TAU_DECAY * ms,
        width=WIDTH,
        w_min=-99.0,
        w_max=99.0,
        **settings,
    )
    return NetworkModel(
        name="timed",
        dt=DT * ms,
        **timed(N_PRE, N_POST, WEIGHTS, rule, tau_rise=TAU_RISE * ms, tau_decay=TAU_DECAY * ms),
        presentation=Presentation(duration=STEPS * DT * ms, reset="all"),
        output="post",
    )


def readout_network(cell: str, loss: str, **settings: Any) -> NetworkModel:
    made = networks.online_readout(
        N_PRE,
        N_POST,
        cell=cell,
        loss=loss,
        encoding="address_events",
        duration=STEPS * DT * ms,
        tau_m=TAU_M * ms,
        tau_out=TAU_OUT * ms,
        gain=GAIN,
        width=0.8,
        eta=ETA,
        dt=DT * ms,
        **settings,
    )
    start = attrs.evolve(made.projections["inp_readout"], weights=WEIGHTS)
    return attrs.evolve(made, projections={**made.projections, "inp_readout": start})


SPIKES, DESIRED = fired(N_PRE, 0.15, 2), fired(N_POST, 0.12, 3)
LABELS = np.eye(N_POST)[[2, 0]]
#: What the potential of each kind of neuron does after an input spike.
RESPONSE = {"timed": double(TAU_M, TAU_SYN), "readout": decay(TAU_M)}


def run(network: NetworkModel, key: str, samples: dict[str, Any]):
    """Spike counts, eligibility (sample, step, pre, post) if it has one, weights per sample.

    The eligibility is that at the beginning of each step.
    """
    name, w = f"{key}.eligibility", f"{key}.w"
    traced = {name: range(N_PRE * N_POST)} if "eligibility" in network.synaptic(key) else {}
    runnable = simulation.compile(network, "runtime", traces=traced, snapshots={w: 1})
    recording, state = runnable.run(samples, learn=True, progress=False)
    weights = recording.snapshots[w].reshape(SAMPLES, N_PRE, N_POST)
    np.testing.assert_array_equal(weights[-1], state[w].reshape(N_PRE, N_POST))
    counts = recording.per_sample.get(f"{network.output}.count")
    shape = SAMPLES, STEPS, N_PRE, N_POST
    return counts, recording.traces[name].values.T.reshape(shape) if traced else None, weights


@functools.cache
def run_timed(**settings: Any):
    samples = {"pattern": events(SPIKES), "desired": events(DESIRED)}
    return run(superspike_network(**settings), "timing", samples)


@functools.cache
def run_readout(cell: str, loss: str):
    samples = {"image": events(SPIKES), "label": LABELS}
    return run(readout_network(cell, loss), "inp_readout", samples)


# --- closed forms ----------------------------------------------------------------------------


def assert_follows(eligibility: np.ndarray, ends: np.ndarray) -> None:
    """A presentation starts from zero, and each step from what the step before has left."""
    np.testing.assert_array_equal(eligibility[0], 0)
    np.testing.assert_allclose(eligibility[1:], ends[:-1], rtol=0, atol=1e-9)


def expected_superspike(sample: int, weights: np.ndarray):
    """Spikes, eligibility (step, pre, post) and change of the weights."""
    x, v, z = layer(RESPONSE["timed"], SPIKES[sample], weights)
    error = convolved(double(TAU_DECAY, TAU_RISE), DESIRED[sample] - z)
    unfiltered = fast_sigmoid(v)[:, None] * x[:, :, None]
    eligibility = convolved(double(TAU_DECAY, TAU_RISE), unfiltered) * DT / TAU_RISE
    return z, eligibility, (error[:, None] * eligibility).sum(0) * DT / TAU_M


def softmax(y: np.ndarray) -> np.ndarray:
    return np.exp(y) / np.exp(y).sum(1, keepdims=True)


def expected_readout(sample: int, weights: np.ndarray, cell: str, loss: str):
    x, v, z = layer(RESPONSE["readout"], SPIKES[sample], weights)
    if cell == "leaky":
        y, eligibility = x @ weights, np.repeat(x[:, :, None], N_POST, axis=2)
    else:
        y = GAIN * convolved(decay(TAU_OUT), z)
        unfiltered = triangle(v)[:, None] * x[:, :, None]
        eligibility = convolved(decay(TAU_OUT), unfiltered) * DT / TAU_OUT
    error = LABELS[sample] - (softmax(y) if loss == "softmax" else y)
    return z, eligibility, (error[:, None] * eligibility).sum(0) * DT / TAU_M


def test_superspike_is_its_sum() -> None:
    counts, eligibility, weights = run_timed()
    wanted = WEIGHTS
    for sample in range(SAMPLES):
        z, eligible, change = expected_superspike(sample, wanted)
        assert z.sum() > 5
        assert np.abs(eligible).max() > 0.05
        np.testing.assert_array_equal(counts[sample], z.sum(0))
        assert_follows(eligibility[sample], eligible)
        wanted = wanted + ETA * change
        np.testing.assert_allclose(weights[sample], wanted, rtol=0, atol=1e-9)
    assert np.abs(wanted - WEIGHTS).min() > 1e-5


@pytest.mark.parametrize(
    ("cell", "loss"),
    [("lif", "softmax"), ("lif", "squared"), ("leaky", "softmax"), ("leaky", "squared")],
)
def test_readout_is_its_sum(cell, loss) -> None:
    counts, eligibility, weights = run_readout(cell, loss)
    wanted = WEIGHTS
    for sample in range(SAMPLES):
        z, eligible, change = expected_readout(sample, wanted, cell, loss)
        if cell == "lif":
            assert z.sum() > 5
            np.testing.assert_array_equal(counts[sample], z.sum(0))
            assert_follows(eligibility[sample], eligible)
        wanted = wanted + ETA * change
        np.testing.assert_allclose(weights[sample], wanted, rtol=0, atol=1e-9)
    assert np.abs(wanted - WEIGHTS).min() > 1e-5


def test_in_every_step_the_weights_are_those_of_the_step() -> None:
    """The first changes equal those that wait for the end; then activity differs."""
    samples = {"image": events(SPIKES), "label": LABELS}
    network = readout_network("lif", "softmax", update="step")
    name = "inp_readout.w"
    runnable = simulation.compile(network, "runtime", traces={name: range(N_PRE * N_POST)})
    recording, _ = runnable.run(samples, learn=True, progress=False)
    # The weights that a step leaves are those from which the next one starts.
    course = recording.traces[name].values.T.reshape(-1, N_PRE, N_POST)[1 : STEPS + 1]
    x = convolved(later(decay(TAU_M)), SPIKES[0].astype(float))
    charge, v, z = (np.zeros((STEPS, N_POST)) for _ in range(3))
    weights, eligibility, r = WEIGHTS.copy(), np.zeros((N_PRE, N_POST)), np.zeros(N_POST)
    for step in range(STEPS):
        v[step] = charge[step]
        z[step] = v[step] > 1
        r = r * np.exp(-DT / TAU_OUT) + z[step]
        error = LABELS[0] - softmax(GAIN * r[None])[0]
        eligibility *= np.exp(-DT / TAU_OUT)
        eligibility += triangle(v[step]) * x[step][:, None] * DT / TAU_OUT
        jump = SPIKES[0, step] @ weights - z[step]  # arrives before the weights change
        charge[step + 1 :] += decay(TAU_M)[1 : STEPS - step, None] * jump
        weights = weights + ETA * error * eligibility * DT / TAU_M
        np.testing.assert_allclose(course[step], weights, rtol=0, atol=1e-9)
    assert z.sum() > 5
    assert np.abs(weights - WEIGHTS).min() > 1e-5


@pytest.mark.parametrize("method", ["exact", "euler", "exponential_euler"])
@pytest.mark.usefixtures("fresh_brian2")
def test_filters_are_exact_whatever_the_method_of_their_neuron(method) -> None:
    """What an input spike of weight 1 does to an exact cell, and the error of a desired spike."""
    rule = plasticity.superspike(tau_m=TAU_M * ms, tau_syn=TAU_SYN * ms)
    cell = plasticity.spike_error(
        attrs.evolve(models.lif(), method=method), tau_rise=TAU_RISE * ms, tau_decay=TAU_DECAY * ms
    )
    group = cell.group(1, traces=rule.needs("pre"), dt=DT * ms)
    group.x_syn = 1
    group.L_rise = 1
    monitor = StateMonitor(group, ("x", "L"), record=True)
    Network(group, monitor).run(STEPS * DT * ms)
    np.testing.assert_allclose(monitor.x[0], double(TAU_M, TAU_SYN), rtol=0, atol=1e-12)
    np.testing.assert_allclose(monitor.L[0], double(TAU_DECAY, TAU_RISE), rtol=0, atol=1e-12)


def test_rmaxprop_gives_every_synapse_its_own_rate() -> None:
    _, _, weights = run_timed(rmaxprop=0.5)
    wanted, largest = WEIGHTS, np.zeros(WEIGHTS.shape)
    for sample in range(SAMPLES):
        _, _, change = expected_superspike(sample, wanted)
        largest = np.maximum(0.5 * largest, change**2)
        wanted = wanted + ETA * change / np.sqrt(largest)
        if sample == 0:
            np.testing.assert_allclose(np.abs(wanted - WEIGHTS), ETA)
        np.testing.assert_allclose(weights[sample], wanted, rtol=0, atol=1e-9)


# --- autograd --------------------------------------------------------------------------------


def gradient_of(response: np.ndarray, surrogate: Any, loss: Any) -> np.ndarray:
    """Gradient of a loss of the first sample by autograd, (pre, post); the reset is detached.

    ``surrogate`` is the derivative that stands for the step's, ``loss`` takes spikes and
    potentials without reset, both (step, post).
    """
    torch = pytest.importorskip("torch")

    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(context, v):
            context.save_for_backward(v)
            return (v > 1).to(v.dtype)

        @staticmethod
        def backward(context, upstream):
            (v,) = context.saved_tensors
            return upstream * torch.as_tensor(surrogate(v.numpy()))

    weights = torch.tensor(WEIGHTS, requires_grad=True)
    x = torch.as_tensor(convolved(later(response), SPIKES[0].astype(float)))
    free, lost, z = x @ weights, torch.zeros(N_POST, dtype=torch.float64), []
    for step in range(STEPS):
        z.append(Spike.apply(free[step] - lost))
        lost = (lost + z[-1].detach()) * np.exp(-DT / TAU_M)
    loss(torch, torch.stack(z), free).backward()
    return weights.grad.numpy()


def filtered(torch: Any, kernel: np.ndarray, z: Any) -> Any:
    lag = np.arange(STEPS)[:, None] - np.arange(STEPS)
    return torch.as_tensor(np.where(lag >= 0, kernel[np.abs(lag)], 0.0)) @ z


def test_superspike_descends_the_distance_of_spike_trains() -> None:
    _, _, weights = run_timed()

    def distance(torch, z, _):
        desired = torch.as_tensor(DESIRED[0].astype(float))
        return 0.5 * (filtered(torch, double(TAU_DECAY, TAU_RISE), z - desired) ** 2).sum()

    gradient = gradient_of(RESPONSE["timed"], fast_sigmoid, distance)
    scale = ETA * DT / TAU_M * DT / TAU_RISE
    assert np.abs(gradient).min() > 1e-3
    np.testing.assert_allclose(weights[0] - WEIGHTS, -scale * gradient, rtol=1e-9)


@pytest.mark.parametrize("loss", ["softmax", "squared"])
@pytest.mark.parametrize("cell", ["lif", "leaky"])
def test_readout_descends_its_loss(cell, loss) -> None:
    _, _, weights = run_readout(cell, loss)

    def error(torch, z, free):
        y = free if cell == "leaky" else GAIN * filtered(torch, decay(TAU_OUT), z)
        target = torch.as_tensor(LABELS[0])
        if loss == "softmax":
            return -(target * torch.log_softmax(y, 1)).sum()
        return 0.5 * ((y - target) ** 2).sum()

    gradient = gradient_of(RESPONSE["readout"], triangle, error)
    scale = ETA * DT / TAU_M * (DT / TAU_OUT / GAIN if cell == "lif" else 1.0)
    assert np.abs(gradient).min() > 1e-3
    np.testing.assert_allclose(weights[0] - WEIGHTS, -scale * gradient, rtol=1e-9)


# --- what is learned -------------------------------------------------------------------------

SIDE, CLASSES, TRAIN, TEST = 14, 10, 1000, 300
#: Neurons that shall fire, and the steps in which.
DUE = ((0, 25), (0, 50), (1, 15), (1, 40))


def test_neurons_learn_to_fire_at_desired_times() -> None:
    """One frozen pattern of input spikes, shown again and again."""
    shown, n = 25, 40
    rule = plasticity.superspike(eta=0.04, width=WIDTH, rmaxprop=0.9)
    network = NetworkModel(
        name="timed",
        dt=DT * ms,
        **timed(n, 2, Normal(mean=0.2, sd=0.1), rule),
        presentation=Presentation(duration=STEPS * DT * ms, reset="all"),
        output="post",
    )
    runnable = simulation.compile(network, "runtime", spikes=("post",))
    pattern = np.random.default_rng(5).random((1, STEPS, n)) < 0.04
    pattern[:, -1] = False
    desired = np.zeros((1, STEPS, 2), dtype=bool)
    desired[0, *np.transpose([(step, unit) for unit, step in DUE])] = True
    error = {}
    for learn, repeats in ((True, shown), (False, 3)):
        samples = {
            "pattern": events(np.repeat(pattern, repeats, 0)),
            "desired": events(np.repeat(desired, repeats, 0)),
        }
        recording, _ = runnable.run(samples, learn=learn, seed=1, progress=False)
        spikes = recording.spikes["post"]
        own = np.zeros((repeats, STEPS, 2))
        own[spikes.sample, np.round(spikes.t * 1e3).astype(int), spikes.i] = 1
        assert own[0].sum() > 4
        kernel = double(TAU_DECAY, TAU_RISE)
        error[learn] = [(convolved(kernel, one - desired[0]) ** 2).sum() for one in own]
    assert np.mean(error[True][-10:]) < 0.25 * error[True][0]
    assert error[False] == [error[True][0]] * 3


@pytest.fixture(scope="module")
def readout() -> NetworkModel:
    return networks.online_readout(SIDE**2, CLASSES, max_rate=120 * Hz)


@pytest.fixture(scope="module")
def compiled(readout):
    return simulation.compile(readout, "cpp", math="strict", per_sample=("readout.score",))


@pytest.fixture(scope="module")
def data():
    """Images of half the side, shape (n, SIDE**2), and their labels."""
    bundled = datasets.load_digits()
    found = {}
    for name, n in (("train", TRAIN), ("test", TEST)):
        split = getattr(bundled, name).take(n)
        pixels = split.flat().reshape(n, SIDE, 2, SIDE, 2)
        found[name] = pixels.mean(axis=(2, 4)).reshape(n, -1), split.labels
    return found


def trained(runnable, images, labels):
    samples = {"image": images, "label": np.eye(CLASSES)[labels]}
    return runnable.run(samples, learn=True, seed=1, progress=False)


def accuracy(runnable, data, state=None) -> float:
    images, labels = data["test"]
    recording, after = runnable.run({"image": images}, state, learn=False, seed=2, progress=False)
    if state is not None:
        np.testing.assert_array_equal(after["inp_readout.w"], state["inp_readout.w"])
    return float((recording.per_sample["readout.score"].argmax(1) == labels).mean())


def test_a_readout_learns_digits_online(compiled, data) -> None:
    images, labels = data["train"]
    shuffled = np.random.default_rng(3).permutation(labels)
    learned = accuracy(compiled, data, trained(compiled, images, labels)[1])
    assert learned > 0.7
    assert accuracy(compiled, data, trained(compiled, images, shuffled)[1]) < 0.3
    assert accuracy(compiled, data) < 0.3


def test_both_devices_learn_the_same(readout, compiled, data) -> None:
    part = [array[:4] for array in data["train"]]
    runtime = simulation.compile(readout, "runtime", per_sample=("readout.score",))
    expected, state = trained(runtime, *part)
    found, other = trained(compiled, *part)
    start = readout.initial_state(1)["inp_readout.w"]
    assert np.abs(state["inp_readout.w"] - start).max() > 1e-3
    one, two = (recording.per_sample["readout.score"] for recording in (expected, found))
    assert one.max() > 0.5
    np.testing.assert_allclose(two, one, rtol=1e-9, atol=1e-12)
    for name, values in state.items():
        np.testing.assert_allclose(other[name], values, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("make", "name", "arguments"),
    [
        (plasticity.superspike, "tau_rise", {"tau_rise": 10 * ms}),
        (plasticity.superspike, "width", {"width": 0 * mV}),
        (plasticity.superspike, "width", {"width": "v"}),
        (plasticity.superspike, "distance", {"distance": ""}),
        (plasticity.superspike, "rmaxprop", {"rmaxprop": 0.0}),
        (plasticity.superspike, "update", {"rmaxprop": 0.9, "update": "step"}),
        (plasticity.superspike, "tau_syn", {"tau_syn": 5}),
        (plasticity.e_prop, "gamma", {"gamma": 0}),
        (plasticity.e_prop, "tau_out", {"tau_out": 0 * ms}),
        (plasticity.e_prop, "eta", {"eta": -1}),
        (plasticity.delta_rule, "signal", {"signal": "L_post + 1"}),
        (plasticity.delta_rule, "update", {"update": "never"}),
        (plasticity.delta_rule, "w_max", {"w_min": 1.0, "w_max": 0.0}),
        (plasticity.spike_error, "threshold", {"model": models.neuron(equations="v : 1")}),
        (plasticity.spike_error, "tau_rise", {"model": models.lif(), "tau_decay": 5 * ms}),
        (networks.online_readout, "cell", {"n_inputs": 4, "n_classes": 2, "cell": "adex"}),
        (networks.online_readout, "loss", {"n_inputs": 4, "n_classes": 2, "loss": "hinge"}),
        (networks.online_readout, "encoding", {"n_inputs": 4, "n_classes": 2, "encoding": "x"}),
        (networks.online_readout, "gain", {"n_inputs": 4, "n_classes": 2, "gain": 0.0}),
        (networks.online_readout, "tau_out", {"n_inputs": 4, "n_classes": 2, "tau_out": 3}),
    ],
)
def test_what_cannot_be_is_said_by_name(make, name, arguments) -> None:
    with pytest.raises(ParameterError) as caught:
        make(**arguments)
    assert caught.value.name == name


def test_a_neuron_without_learning_signal_is_refused() -> None:
    made = readout_network("lif", "squared")
    rule = plasticity.e_prop(width=1.0, signal="reward")
    joined = attrs.evolve(made.projections["inp_readout"], rule=rule)
    with pytest.raises(ParameterError, match="reward_post"):
        attrs.evolve(made, projections={"inp_readout": joined})
