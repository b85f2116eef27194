"""The compiler of equations into torch: its source, what it refuses, gradients, the bits."""

from __future__ import annotations

import copy
import math
from typing import Any

import attrs
import numpy as np
import pytest
from brian2 import Clock, Function, Mohm, NeuronGroup, ms, mV, nA, nS

from biosnn import encoding, models
from biosnn.errors import ParameterError
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection

torch = pytest.importorskip("torch")

from biosnn.surrogate import ATan, Sigmoid, SpikingLayer, to_torch  # noqa: E402


@pytest.fixture(autouse=True)
def _seed(fresh_brian2: None) -> None:
    torch.manual_seed(0)


def discrete(threshold: str = "v >= V_th", reset: str = "v = 0", **more: Any) -> models.NeuronModel:
    """``v += (I - v)/tau`` in steps of 1 ms."""
    return models.neuron(
        name="Discrete",
        equations="dv/dt = (I - v)/tau_m : 1\nI : 1",
        threshold=threshold,
        reset=reset,
        method="euler",
        parameters={"tau_m": 2 * ms, "V_th": 1.0},
        **more,
    )


def group(equations: str, threshold: str | None = "v > 1", method: Any = "euler", **names: Any):
    """A plain Brian2 group."""
    reset = None if threshold is None else "v = 0"
    return NeuronGroup(
        3,
        f"{equations}\nI : 1",
        threshold=threshold,
        reset=reset,
        method=method,
        clock=Clock(dt=0.1 * ms),
        namespace={"tau": 10 * ms, **names},
    )


# --- the source


def test_the_source_can_be_read() -> None:
    source = SpikingLayer(discrete(), dt=1 * ms, detach_reset=False).source
    assert "tau_m = 0.002" in source, "SI units"
    assert "V_th = 1.0" in source
    assert "def step(" in source
    assert "d >= 0, gradient ATan(alpha=2.0)" in source
    body = source[source.index("def step(") :]
    assert body.count("above_1(") == 1
    assert len(body.splitlines()) < 15
    assert "d > 0" in SpikingLayer(discrete("v > V_th"), dt=1 * ms).source


def test_constants_stand_at_the_head_and_trained_ones_do_not() -> None:
    source = SpikingLayer(models.lif(), dt=0.1 * ms, gain=2 * nA, train=["tau_m"]).source
    head, _, prepared = source.partition("def prepare(")
    assert "tau_m =" not in head
    assert "tau_m" in prepared[: prepared.index("def step(")]


# --- what is refused, by name

DT_TOLD = Function(lambda x: x, arg_units=[1], return_unit=1)
REFUSED: dict[str, tuple[Any, str]] = {
    "unknown_function": (
        lambda: group("dv/dt = (I - told(v))/tau : 1", told=DT_TOLD),
        r"nothing is known of the derivative of told.*functions=",
    ),
    "floor": (lambda: group("dv/dt = (I - floor(v))/tau : 1"), r"flat with jumps.*floor\(v\)"),
    "modulo": (lambda: group("dv/dt = (I - v % 2)/tau : 1"), r"flat with jumps.*v % 2"),
    "int": (lambda: group("dv/dt = (I - int(v))/tau : 1"), r"flat with jumps.*int\(v\)"),
    "equality": (lambda: group("dv/dt = (I - v)/tau : 1", "v == 1"), "equality is not.*v == 1"),
    "random_function": (
        lambda: group("dv/dt = (I - v)/tau : 1", "v > 1 + 0.1*poisson(2.0)"),
        r"poisson\(2.0\).*rand\(\)",
    ),
    "gsl": (lambda: group("dv/dt = (I - v)/tau : 1", method="gsl"), "a method that Brian2 writes"),
    "equal_time_constants": (
        lambda: group(
            "dv/dt = (g - v)/tau : 1\ndg/dt = -g/tau_g : 1", method="exact", tau_g=10 * ms
        ),
        "exact, which divides by the difference.*exponential_euler",
    ),
    "equal_time_constants_by_default": (
        lambda: NeuronGroup(
            3,
            "dv/dt = (g - v)/tau : 1\ndg/dt = -g/tau_g : 1\nI : 1",
            threshold="v > 1",
            reset="v = 0",
            namespace={"tau": 10 * ms, "tau_g": 10 * ms},
        ),
        "exact, which divides by the difference.*exponential_euler",
    ),
    "threshold_of_nothing": (lambda: group("dv/dt = (I - v)/tau : 1", "2 > 1"), "threshold"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_gradient_is_refused_by_name(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(ParameterError, match=f"(?s){message}"):
        SpikingLayer(make())


def test_one_name_for_two_time_constants_is_no_pole() -> None:
    made = group("dv/dt = (g - v)/tau : 1\ndg/dt = -g/tau : 1", method="exact")
    made.g = 20
    layer = SpikingLayer(made, step_mode="multi")
    spikes = layer(torch.zeros(100, 1, 3))
    assert spikes.sum() > 0
    assert torch.isfinite(layer.v).all()


def test_a_counterpart_makes_a_function_known() -> None:
    made = group("dv/dt = (3*I - told(v))/tau : 1", told=DT_TOLD)
    for key in ("told", DT_TOLD):
        layer = SpikingLayer(made, functions={key: lambda x: x}, step_mode="multi")
        x = torch.ones(200, 1, 3, requires_grad=True)
        y = layer(x)
        assert y.sum() > 0
        y.sum().backward()
        assert x.grad.abs().sum() > 0


def test_a_declared_network_is_translated_and_spikes() -> None:
    cell = models.neuron(
        name="cell", equations="dv/dt = -v/tau : 1", threshold="v > 1", reset="v = 0",
        parameters={"tau": 10 * ms},
    )  # fmt: skip
    model = NetworkModel(
        name="net",
        dt=1 * ms,
        inputs={"x": Input(features=4, kind="events")},
        populations={
            "inp": Population(model=encoding.address_events(), n=4, drives={"x": "x"}),
            "out": Population(model=cell, n=2),
        },
        projections={"a": Projection(pre="inp", post="out", transmit="v_post += w", weights=0.3)},
        presentation=Presentation(duration=20 * ms),
        output="out",
    )
    assert to_torch(model)((torch.rand(20, 2, 4) < 0.5).float()).sum() > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"drive": "J"}, "drive"),
        ({"width": -1.0}, "width"),
        ({"train": ["tau_x"]}, "train.*tau_m"),
        ({"output": "w"}, "output"),
        ({"surrogate": "gauss"}, "gauss"),
        ({"dt": None}, "dt"),
    ],
)
def test_wrong_settings_are_named(settings: dict, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        SpikingLayer(discrete(), **{"dt": 1 * ms, **settings})


# --- thresholds and widths


@pytest.mark.parametrize(("threshold", "fires"), [("v >= V_th", True), ("v > V_th", False)])
def test_exactly_at_the_threshold(threshold: str, fires: bool) -> None:
    layer = SpikingLayer(discrete(threshold), dt=1 * ms)
    assert layer(torch.tensor([[2.0]])).item() == fires  # v = 0 + (2 - 0)/2 is 1.0
    assert layer.v.item() == (0.0 if fires else 1.0)
    assert SpikingLayer(discrete(threshold), dt=1 * ms)(torch.tensor([[2.0001]])).item()


def slope(layer: Any, x: float) -> float:
    """Derivative of a neuron's spike by its input, in one step from rest."""
    given = torch.tensor([[x]], dtype=torch.float64, requires_grad=True)
    layer.double()(given).backward()
    assert given.grad is not None
    return given.grad.item()


def atan(d: float) -> float:
    """Derivative of the default surrogate at a distance in units of its width."""
    return 1 / (1 + (math.pi * d) ** 2)


def test_default_widths_are_the_distance_of_the_threshold() -> None:
    lif = models.lif()
    distance = float(lif.parameters["V_th"] - lif.parameters["E_L"])
    rise = 1e-3 * -math.expm1(-0.01)  # of the potential in a step of 0.1 ms, per nA
    for width, expected in ((None, distance), (3 * mV, 3e-3)):
        layer = SpikingLayer(lif, dt=0.1 * ms, gain=1 * nA, width=width)
        d = (2 * rise - distance) / expected
        assert slope(layer, 2.0) == pytest.approx(rise / expected * atan(d), rel=1e-9)
    assert slope(SpikingLayer(discrete(), dt=1 * ms), 0.8) == pytest.approx(0.5 * atan(0.6))
    # Of two conditions that hold, each passes its own gradient, and one has a width of its own.
    soft = SpikingLayer(discrete("v >= V_th and I < 5"), dt=1 * ms, width={"I < 5": 0.25})
    assert slope(soft, 4.9) == pytest.approx(0.5 * atan(1.45) - atan(0.1 / 0.25) / 0.25, rel=1e-6)


# --- gradients


def check_gradients(layer: Any, x: Any, *names: str) -> None:
    parameters = [layer.trained[name].raw for name in names]

    def run(*values: Any) -> Any:
        layer.reset()
        spikes = layer(values[0])
        return torch.cat([spikes.flatten(), layer.v.flatten() / scale])

    layer.reset()
    soft = layer(x)
    scale = layer.v.detach().abs().max()
    assert soft.std() > 1e-4
    assert torch.autograd.gradcheck(run, (x, *parameters), eps=1e-6, atol=1e-5, rtol=1e-4)


def test_gradcheck_of_a_discrete_neuron() -> None:
    layer = SpikingLayer(
        discrete(reset="v -= V_th"),
        dt=1 * ms,
        train=["tau_m", "V_th"],
        smooth=True,
        detach_reset=False,
        step_mode="multi",
    ).double()
    check_gradients(
        layer, (2 * torch.rand(6, 2, 2, dtype=torch.float64)).requires_grad_(), "tau_m", "V_th"
    )


@pytest.mark.parametrize(
    ("make", "gain", "names", "dt"),
    [
        (lambda: models.lif(t_ref=0 * ms), 30 * nA, ("tau_m", "V_th"), 1 * ms),
        (lambda: models.adex(), 1.5 * nA, ("tau_w", "V_T", "C"), 0.1 * ms),
        (
            lambda: models.lif(R=100 * Mohm).with_synapses(
                g=models.exponential_conductance(g_max=50 * nS)
            ),
            0.3 * nA,
            ("tau_m", "tau_syn_g"),
            0.5 * ms,
        ),
    ],
    ids=["lif", "adex", "conductance"],
)
def test_gradcheck(make: Any, gain: Any, names: tuple[str, ...], dt: Any) -> None:
    model = make()
    drive = "I_ext" if "I_ext" in model.variables else "I"
    names = tuple(name for name in names if name in model.parameters)
    assert len(names) >= 2
    settings = {"smooth": True, "detach_reset": False, "step_mode": "multi"}
    layer = SpikingLayer(model, dt=dt, drive=drive, gain=gain, train=names, **settings).double()
    x = (0.2 + torch.rand(8, 1, 3, dtype=torch.float64)).requires_grad_()
    check_gradients(layer, x, *names)


def test_the_reset_passes_a_gradient_unless_it_is_detached() -> None:
    # v1 = x/2 fires; reset v1*(1 - s1); v2 = v1*(1 - s1)/2 + x/2. With L = v2:
    # dv2/dx = 1/2 + (1 - s1)/4 - v1/2 * s'(v1 - 1)/2, the last term only if it is not detached.
    x0 = 2.6
    slope = ATan().gradient(torch.tensor(x0 / 2 - 1, dtype=torch.float64)).item()
    expected = {True: 0.5, False: 0.5 - 0.25 * (x0 / 2) * slope}
    for detach, value in expected.items():
        layer = SpikingLayer(discrete(), dt=1 * ms, detach_reset=detach)
        x = torch.tensor([[x0]], dtype=torch.float64, requires_grad=True)
        assert layer(x).item() == 1.0
        layer(x)
        # the second step's potential before its own reset, which would fire at 1.3 again
        (gradient,) = torch.autograd.grad(_before_reset(layer, x), x)
        assert gradient.item() == pytest.approx(value, rel=1e-12)


def _before_reset(layer: Any, x: Any) -> Any:
    """The potential of the second step, from the first one's state."""
    layer.reset()
    layer(x)
    return layer.v + (x - layer.v) / 2


def test_detached_by_default_where_steps_are_fine() -> None:
    model = discrete()
    for dt, detached in ((1 * ms, False), (0.5 * ms, False), (0.1 * ms, True)):
        assert ("_detached" in SpikingLayer(model, dt=dt).source) == detached


def test_gradients_of_exponential_euler_with_refractoriness_are_finite() -> None:
    model = models.lif_conductance_based(t_ref=1 * ms)
    model = attrs.evolve(model, method="exponential_euler")
    layer = SpikingLayer(model, dt=0.1 * ms, drive="g_e", step_mode="multi", train=["tau_m"])
    x = (3 * torch.rand(400, 2, 4, dtype=torch.float64)).requires_grad_()
    spikes = layer.double()(x)
    assert spikes.sum() > 10
    spikes.sum().backward()
    assert torch.isfinite(x.grad).all()
    assert torch.isfinite(layer.trained["tau_m"].raw.grad)
    assert x.grad.abs().sum() > 0


# --- types, copies, resets


def test_single_precision_stays_single() -> None:
    model = models.adaptive_lif()
    model = attrs.evolve(model, method="exponential_euler")  # Brian2 solves that at once
    layer = SpikingLayer(model, dt=0.1 * ms, gain=2 * nA, step_mode="multi", train=["tau_m"])
    spikes = layer(torch.rand(400, 2, 4))
    assert spikes.sum() > 0
    assert spikes.dtype == torch.float32
    kinds = {name: value.dtype for name, value in layer.memory.items()}
    assert kinds.pop("lastspike", torch.float64) == torch.float64
    assert {d for d in kinds.values() if d.is_floating_point} == {torch.float32}
    spikes.sum().backward()
    assert layer.trained["tau_m"].raw.grad.dtype == torch.float32


def test_copies_are_independent() -> None:
    layer = SpikingLayer(discrete(), dt=1 * ms, train=["tau_m"], detach_reset=False)
    x = torch.rand(2, 3) * 3
    layer(x)
    twin = copy.deepcopy(layer)
    torch.testing.assert_close(twin.v, layer.v)
    torch.testing.assert_close(twin(x), layer(x))
    assert twin.source == layer.source
    with torch.no_grad():
        twin.trained["tau_m"].raw += 1
    twin(x)
    layer(x)
    assert not torch.equal(twin.v, layer.v)
    assert layer.trained["tau_m"].raw.item() == 0


def test_another_batch_needs_a_reset() -> None:
    layer = SpikingLayer(discrete(), dt=1 * ms, step_mode="multi")
    assert layer(torch.full((5, 2, 3), 3.0)).sum() > 0
    with pytest.raises(ParameterError, match=r"reset\(\)"):
        layer(torch.ones(5, 4, 3))
    layer.reset()
    assert layer(torch.full((5, 4, 3), 3.0)).shape == (5, 4, 3)


def test_trained_constants_go_back_into_the_model() -> None:
    layer = SpikingLayer(discrete(), dt=1 * ms, train=["tau_m", "V_th"], step_mode="multi")
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.1)
    layer(torch.full((5, 2, 3), 3.0)).sum().backward()
    optimiser.step()
    trained = layer.trained_model()
    assert trained.parameters["tau_m"] != 2 * ms
    assert trained.parameters["tau_m"].dim == ms.dim
    again = SpikingLayer(trained, dt=1 * ms, step_mode="multi")
    x = 3 * torch.rand(50, 2, 3, dtype=torch.float64)
    layer.double().reset()
    assert torch.equal(again(x), layer(x))


# --- the tutorial's network, to the bit


def plain_lif(x: Any, surrogate: Any) -> Any:
    """The neuron of SpikingJelly's tutorial, in the order of operations that it documents."""
    v, steps = torch.zeros_like(x[0]), []
    for step in x:
        v = v + (step - v) / 2.0
        s = surrogate(v - 1.0)
        v = s * 0.0 + (1.0 - s) * v
        steps.append(s)
    return torch.stack(steps)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("surrogate", [ATan(), Sigmoid(alpha=4.0)])
def test_the_tutorials_network_has_the_same_bits(dtype: Any, surrogate: Any) -> None:
    weight = 0.1 * torch.randn(10, 784, dtype=dtype)
    images = (torch.rand(20, 32, 784) < 0.3).to(dtype)
    target = torch.eye(10, dtype=dtype)[torch.arange(32) % 10]
    layer = SpikingLayer(
        discrete(), dt=1 * ms, surrogate=surrogate, detach_reset=False, step_mode="multi"
    )
    found = []
    for neurons in (layer, lambda x: plain_lif(x, surrogate)):
        linear = torch.nn.Linear(784, 10, bias=False, dtype=dtype)
        linear.weight.data = weight.clone()
        spikes = neurons(torch.stack([linear(image) for image in images]))
        torch.nn.functional.mse_loss(spikes.mean(0), target).backward()
        found.append((spikes.detach(), linear.weight.grad))
    assert 100 < found[0][0].sum() < 0.5 * found[0][0].numel()
    assert found[0][1].abs().max() > 1e-4
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_potentials_of_the_leak_have_their_closed_form() -> None:
    made = models.neuron(name="Leak", equations="dv/dt = (I - v)/tau_m : 1\nI : 1",
                         method="exact", parameters={"tau_m": 7 * ms})  # fmt: skip
    layer = SpikingLayer(made, dt=1 * ms, output="v", step_mode="multi", train=["tau_m"]).double()
    x = torch.ones(10, 1, 1, dtype=torch.float64)
    v = layer(x)[-1, 0, 0]
    assert v.item() == pytest.approx(1 - math.exp(-10 / 7), rel=1e-12)
    v.backward()  # tau_m = 7 ms*exp(raw): dv/draw = -(10/7) exp(-10/7)
    slope = -(10 / 7) * math.exp(-10 / 7)
    assert layer.trained["tau_m"].raw.grad.item() == pytest.approx(slope, rel=1e-6)
    assert np.isfinite(slope)


@pytest.mark.slow
def test_fused_steps_are_the_same_steps() -> None:
    model = models.neuron(
        equations="dv/dt = (I - v)/tau_m : 1\nI : 1",
        threshold="v >= V_th",
        reset="v = 0",
        method="euler",
        parameters={"tau_m": 2 * ms, "V_th": 1.0},
    )
    layers = [
        SpikingLayer(model, dt=1 * ms, train=("tau_m",), fuse=fuse, step_mode="multi")
        for fuse in (3, 0)
    ]
    x = (2 * torch.rand(7, 4, 16)).requires_grad_()  # two calls of three steps, and one step
    found, gradients = [], []
    for layer in layers:
        found.append(layer(x))
        gradients.append(torch.autograd.grad(found[-1].sum(), [x, layer.trained["tau_m"].raw]))
    assert found[0].sum() > 10
    assert torch.equal(*found)
    assert torch.equal(layers[0].v, layers[1].v)
    for fused, plain in zip(*gradients, strict=True):
        assert plain.abs().sum() > 0
        torch.testing.assert_close(fused, plain, rtol=1e-5, atol=1e-6)


def test_steps_that_use_the_time_are_not_fused() -> None:
    with pytest.raises(ParameterError, match="fuse must be 0 where equations use the time"):
        SpikingLayer(models.lif(t_ref=2 * ms), dt=1 * ms, gain=2 * nA, fuse=4)
