"""Surrogate functions: a step forwards, the derivative of the primitive backwards."""

import math
import pickle
from importlib import import_module

import numpy as np
import pytest

from biosnn.errors import ParameterError

torch = pytest.importorskip("torch")
functions = import_module("biosnn.surrogate.compiler.surrogate_functions")

ATan, Sigmoid, UserDefined = functions.ATan, functions.Sigmoid, functions.UserDefined
DEFAULTS = [made() for made in functions.SURROGATES.values()]
OTHERS = [
    functions.Sigmoid(alpha=3.7),
    functions.ATan(alpha=1.3),
    functions.PiecewiseLinear(width=0.7, leak=0.0),
    functions.PiecewiseQuadratic(alpha=1.7),
    functions.Triangle(alpha=1.7, gamma=0.5),
    functions.SoftSign(alpha=1.7),
    functions.FastSigmoid(alpha=2.5),
    functions.Erf(alpha=1.7),
    functions.Rectangular(alpha=1.7),
    functions.LeakyKReLU(leak=0.1, k=0.7),
    functions.LogTailedReLU(alpha=0.3),
    functions.SquarewaveFourier(terms=4, period=3.3),
    UserDefined(gradient=lambda x: torch.exp(-x.abs()) / 2, primitive=lambda x: laplace(x)),
]
X = torch.arange(-3.0, 3.0, 0.01, dtype=torch.float64) + 0.0013  # meets none of the kinks
HALF = (torch.float16, torch.bfloat16)
DTYPES = (*HALF, torch.float32, torch.float64)

#: Gradients of SpikingJelly 2.0.0 (activation_based.surrogate, torch 2.15.0, CPU) at POINTS with
#: the upstream gradients UPSTREAM, as bytes: float32 and float64.
POINTS = [-1.5, -0.3, 0.0, 0.2, 2.5]
UPSTREAM = [0.7, -1.3, 0.9, 1.1, -0.6]
SPIKINGJELLY = {
    "Sigmoid(alpha=3.7)": (
        "f8af233c459065bfb81e553fd8d6633fbda45fb9",
        "afb2c93fff75843fc1b92ebd08b2ecbfa4703d0ad7a3ea3f0174f3dcda7aec3f8aef70c40ff62bbf",
    ),
    "ATan(alpha=1.3)": (
        "6e81333d4d4a1dbf8fc2153fbedf1c3fc01d6cbc",
        "b1992d212e70a63fa5b63ede49a9e3bfb91e85eb51b8e23f3070d2c5f79be33fe189b64eb8838dbf",
    ),
    "PiecewiseLinear(width=0.7, leak=0.03)": (
        "3108ac3cdbb66dbf4992243f9324493fbd7493bc",
        "1a2fdd240681953f6edbb66ddbb6edbf254992244992e43f4a9224499224e93f3bdf4f8d976e92bf",
    ),
    "PiecewiseQuadratic(alpha=1.7)": (
        "00000000779c8abf0ad7c33f44fa9d3f00000000",
        "0000000000000000176a4df38e53f1bf7b14ae47e17af83f3a92cb7f48bff33f0000000000000000",
    ),
    "SoftSign(alpha=1.7)": (
        "4362413d2321f8be08d7433fbb4d053f719497bc",
        "8c8ed984482ca83fc957169a2404dfbf7b14ae47e17ae83fad9f9058b7a9e03f6a4cd53e8ef292bf",
    ),
    "FastSigmoid(alpha=1.0)": (
        "4160e53d50ec44bf6666663f398e433fd49e48bd",
        "78e9263108acbc3fd8899dd8899de8bfcdccccccccccec3f1dc7711cc771e83fab6c3862da13a9bf",
    ),
    "Erf(alpha=1.7)": (
        "d2f8833a851776bf55fb5c3f899a703f0a730db2",
        "7f78fb541b7f503fc34aafcaf0c2eebfc396adb56a9feb3f0ac8e8045113ee3f4330203761ae41be",
    ),
    "Rectangular(alpha=1.7)": (
        "00000000000000800ad7c33f2a5cef3f00000080",
        "000000000000000000000000000000807b14ae47e17af83fec51b81e85ebfd3f0000000000000080",
    ),
    "LeakyKReLU(leak=0.1, k=0.7)": (
        "295c8f3db81e05beae47213fb81e453f3e0ad7be",
        "eb51b81e85ebb13fa4703d0ad7a3c0bf295c8fc2f528e43fa4703d0ad7a3e83fe17a14ae47e1dabf",
    ),
    "LogTailedReLU(alpha=0.3)": (
        "3e0a573e15aec7be713d8a3ecdcc8c3f90c275be",
        "e17a14ae47e1ca3ff6285c8fc2f5d8bf48e17a14ae47d13f9a9999999999f13fb81e85eb51b8cebf",
    ),
    "SquarewaveFourier(terms=4, period=3.3)": (
        "0eab91bfeda2b83fe9a28b401b992e3e388d0a3e",
        "1547fc676235f2bf98e01fab5d14f73f75d145175d7411407b7c5e6024d3c53ff4bd03d09d51c13f",
    ),
}
#: Their elementary functions differ by a unit in the last place between vector instruction sets.
ROUNDED = ("Sigmoid", "Erf", "SquarewaveFourier")


def laplace(x):
    """Distribution function of the Laplace distribution."""
    return torch.where(x < 0, torch.exp(-x.abs()) / 2, 1 - torch.exp(-x.abs()) / 2)


def each(made):
    return pytest.mark.parametrize("function", made, ids=repr)


def backwards(function, x, upstream=None, **how):
    """Output, and the gradient that arrives at `x`."""
    x = x.clone().requires_grad_()
    out = function(x, **how)
    out.backward(torch.ones_like(out) if upstream is None else upstream)
    return out.detach(), x.grad


# --- forwards


@each([*DEFAULTS, OTHERS[-1]])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_spikes_are_a_step(function, dtype):
    x = torch.tensor([-1e-3, -0.0, 0.0, 1e-3, math.nan], dtype=dtype)
    assert torch.equal(function(x), torch.tensor([0, 1, 1, 1, 0], dtype=dtype))
    assert torch.equal(function(x, strict=True), torch.tensor([0, 0, 0, 1, 0], dtype=dtype))
    for made in (function(x), function.gradient(x), function.primitive(x)):
        assert made.dtype == dtype
        assert made.shape == x.shape


def test_shapes_are_kept_and_the_input_is_not_touched():
    x = torch.randn(3, 1, 4)
    before = x.clone()
    for function in DEFAULTS:
        out, gradient = backwards(function, x)
        assert out.shape == gradient.shape == (3, 1, 4)
        function.gradient(x)
        function.primitive(x)
        assert torch.equal(x, before), function
    assert ATan()(torch.tensor(0.5)).shape == ()
    assert ATan()(torch.empty(0, 3)).shape == (0, 3)


# --- backwards


@each([*DEFAULTS, *OTHERS])
def test_the_gradient_is_the_derivative_of_the_primitive(function):
    gradient = function.gradient(X)
    assert gradient.abs().max() > 0.1
    by_autograd = torch.autograd.functional.vjp(function.primitive, X, torch.ones_like(X))[1]
    assert torch.allclose(gradient, by_autograd, rtol=1e-12, atol=1e-14)
    h = 1e-6
    by_differences = (function.primitive(X + h) - function.primitive(X - h)) / (2 * h)
    assert torch.allclose(gradient, by_differences, rtol=1e-6, atol=1e-8)


@each([*DEFAULTS, *OTHERS])
def test_the_upstream_gradient_is_multiplied(function):
    upstream = torch.linspace(-2, 2, len(X), dtype=X.dtype)
    out, arrived = backwards(function, X, upstream)
    assert 0 < out.sum() < len(X)
    assert torch.allclose(arrived, upstream * function.gradient(X), rtol=1e-14, atol=0)
    assert torch.equal(arrived, backwards(function, X, upstream, strict=True)[1])


@each([*DEFAULTS, *OTHERS])
def test_smooth_is_the_primitive_with_the_same_gradient(function):
    out, arrived = backwards(function, X, smooth=True)
    assert torch.equal(out, function.primitive(X))
    assert len(out.unique()) > 50
    assert torch.allclose(arrived, function.gradient(X), rtol=1e-12, atol=1e-14)
    x = X[::97].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: function(x, smooth=True), x)


@pytest.mark.parametrize(
    ("function", "x", "value"),
    [
        (Sigmoid(alpha=4.0), 0.0, 1.0),
        (Sigmoid(alpha=4.0), math.log(3) / 4, 4 * 0.75 * 0.25),
        (ATan(alpha=2.0), 0.0, 1.0),
        (ATan(alpha=2.0), 1 / math.pi, 0.5),
        (functions.PiecewiseLinear(width=0.5, leak=0.1), 0.4, 1.0),
        (functions.PiecewiseLinear(width=0.5, leak=0.1), 0.6, 0.1),
        (functions.PiecewiseQuadratic(alpha=2.0), 0.25, 1.0),
        (functions.PiecewiseQuadratic(alpha=2.0), -0.6, 0.0),
        (functions.Triangle(alpha=2.0, gamma=0.3), 0.25, 0.3),
        (functions.SoftSign(alpha=2.0), -0.5, 0.25),
        (functions.FastSigmoid(alpha=10.0), 0.1, 0.25),
        (functions.Erf(alpha=2.0), 0.5, 2 / math.sqrt(math.pi) / math.e),
        (functions.Rectangular(alpha=4.0), 0.1, 4.0),
        (functions.Rectangular(alpha=4.0), 0.2, 0.0),
        (functions.LeakyKReLU(leak=0.2, k=3.0), -1.0, 0.2),
        (functions.LeakyKReLU(leak=0.2, k=3.0), 1.0, 3.0),
        (functions.LogTailedReLU(alpha=0.1), 0.5, 1.0),
        (functions.LogTailedReLU(alpha=0.1), 4.0, 0.25),
        (functions.LogTailedReLU(alpha=0.1), -4.0, 0.1),
        (functions.SquarewaveFourier(terms=1, period=8.0), 0.0, 0.5),
        (functions.SquarewaveFourier(terms=3, period=8.0), 4.0, -1.5),
    ],
    ids=repr,
)
def test_gradients_have_their_closed_forms(function, x, value):
    found = function.gradient(torch.tensor([x], dtype=torch.float64)).item()
    assert found == pytest.approx(value, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(
    ("function", "low", "high"),
    [
        *((f, 0.0, 1.0) for f in (Sigmoid(), ATan(), functions.PiecewiseQuadratic())),
        *((f, 0.0, 1.0) for f in (functions.SoftSign(), functions.Erf())),
        (functions.Rectangular(), 0.0, 1.0),
        (functions.PiecewiseLinear(leak=0.0), 0.0, 1.0),
        (functions.FastSigmoid(alpha=4.0), 0.25, 0.75),
        (functions.Triangle(gamma=0.3), 0.35, 0.65),
    ],
    ids=repr,
)
def test_primitives_are_smooth_steps(function, low, high):
    ends = function.primitive(torch.tensor([-1e9, 0.0, 1e9], dtype=torch.float64))
    assert ends.tolist() == pytest.approx([low, 0.5, high], abs=1e-8)
    assert (function.primitive(X).diff() >= 0).all()


@pytest.mark.parametrize("name", SPIKINGJELLY)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_are_those_of_spikingjelly_to_the_last_bit(name, dtype):
    function = eval(name, vars(functions))
    saved = bytes.fromhex(SPIKINGJELLY[name][dtype == "float64"])
    expected = np.frombuffer(saved, dtype)
    x, upstream = (torch.tensor(v, dtype=getattr(torch, dtype)) for v in (POINTS, UPSTREAM))
    found = backwards(function, x, upstream)[1].numpy()
    assert np.abs(found).max() > 0.1
    if type(function).__name__ in ROUNDED:
        np.testing.assert_array_max_ulp(found, expected, maxulp=8)
    else:
        assert found.tobytes() == saved


def test_half_precision_does_not_overflow():
    """The threshold is in volts here: 1 mV away, at 20,000 per volt."""
    for dtype in HALF:
        x = torch.tensor([-1e-3, 0.0, 2e-5, 1.0], dtype=dtype)
        for name in ("sigmoid", "atan", "piecewise_quadratic", "soft_sign", "erf", "fast_sigmoid"):
            function = functions.SURROGATES[name](alpha=2e4)
            found = backwards(function, x)[1]
            assert found.dtype == dtype
            assert found[1] > 0
            assert torch.isfinite(found).all(), function
            assert torch.equal(found, function.gradient(x.float()).to(dtype))


def test_gradients_arrive_under_autocast():
    torch.manual_seed(1)
    layer, x = torch.nn.Linear(6, 5), torch.randn(7, 6)
    for function in DEFAULTS:
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            out = function(layer(x))
            loss = (out.float() - 0.5 * torch.arange(5)).pow(2).mean()
        assert out.dtype == torch.bfloat16
        assert 0 < out.sum() < out.numel()
        loss.backward()
        assert layer.weight.grad.dtype == torch.float32
        assert layer.weight.grad.abs().sum() > 0
        assert torch.isfinite(layer.weight.grad).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@each(DEFAULTS)
def test_cuda_gives_what_the_cpu_gives(function):
    on_cpu = backwards(function, X)
    on_gpu = backwards(function, X.cuda())
    assert on_gpu[0].is_cuda
    assert on_gpu[1].is_cuda
    assert torch.equal(on_gpu[0].cpu(), on_cpu[0])
    assert torch.allclose(on_gpu[1].cpu(), on_cpu[1], rtol=1e-12, atol=1e-15)


def test_the_backward_pass_cannot_be_differentiated():
    x = X.clone().requires_grad_()
    loss = (ATan()(x) * torch.ones_like(x, requires_grad=True)).sum()
    (first,) = torch.autograd.grad(loss, x, create_graph=True)
    assert first.abs().sum() > 0
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


# --- as objects


def test_functions_are_values():
    assert ATan() == ATan(alpha=2) != ATan(alpha=3.0)
    assert ATan(alpha=2.0) != Sigmoid(alpha=2.0)
    assert len({ATan(), ATan(2.0), Sigmoid(2.0)}) == 2
    assert repr(functions.Triangle()) == "Triangle(alpha=1.0, gamma=0.3)"
    assert all(pickle.loads(pickle.dumps(function)) == function for function in DEFAULTS)
    with pytest.raises(AttributeError):
        ATan().alpha = 3.0
    assert not any(isinstance(function, torch.nn.Module) for function in DEFAULTS)


def test_every_function_names_its_source():
    for made in functions.SURROGATES.values():
        assert "doi:10." in made.reference
        assert made.reference.split("doi:")[1] in made.__doc__


def test_functions_are_found_by_name():
    for name, made in functions.SURROGATES.items():
        assert functions.surrogate_function(name) == made()
    own = UserDefined(gradient=torch.ones_like)
    assert functions.surrogate_function(own) is own


def test_a_function_of_ones_own():
    own = UserDefined(gradient=Sigmoid(3.0).gradient)
    out, arrived = backwards(own, X.float())
    assert 0 < out.sum() < len(X)
    assert torch.equal(arrived, Sigmoid(3.0).gradient(X.float()))
    assert repr(UserDefined(backwards, laplace)) == (
        "UserDefined(gradient=backwards, primitive=laplace)"
    )
    with pytest.raises(ParameterError, match=r"primitive must be given if smooth, got None"):
        own(X, smooth=True)
    with pytest.raises(ParameterError, match=r"gradient must be .* the shape of x, \(600,\), got"):
        UserDefined(gradient=torch.sum).gradient(X)
    with pytest.raises(ParameterError, match=r"primitive must be .*, got float"):
        UserDefined(gradient=torch.ones_like, primitive=lambda x: 1.0).primitive(X)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ATan(alpha=0.0), r"ATan\.alpha must be > 0, got 0"),
        (lambda: Sigmoid(alpha=math.inf), r"Sigmoid\.alpha must be > 0, got inf"),
        (lambda: Sigmoid(alpha="4"), r"Sigmoid\.alpha must be a number, got '4'"),
        (lambda: functions.PiecewiseLinear(leak=-1), r"PiecewiseLinear\.leak must be >= 0"),
        (lambda: functions.SquarewaveFourier(terms=0), r"terms must be a whole number >= 1"),
        (lambda: functions.SquarewaveFourier(terms=2.0), r"whole number >= 1, got 2\.0"),
        (lambda: UserDefined(gradient=1.0), r"UserDefined\.gradient must be a function"),
        (lambda: UserDefined(torch.ones_like, 2), r"UserDefined\.primitive must be a function"),
        (lambda: ATan()(torch.arange(3)), r"ATan\.x must be a tensor of .*, got torch\.int64"),
        (lambda: ATan().gradient(0.5), r"ATan\.x must be a tensor of .*, got float"),
        (lambda: ATan()([0.5], smooth=True), r"ATan\.x must be a tensor of .*, got list"),
        (
            lambda: functions.surrogate_function("arctan"),
            r"which must be a surrogate function or one of 'sigmoid', 'atan', .*, got 'arctan'",
        ),
        (lambda: functions.surrogate_function(ATan), r"Call the class: ATan\(\.\.\.\)"),
        (
            lambda: functions.surrogate_function(torch.sigmoid),
            r"Wrap the derivative: UserDefined\(gradient=\.\.\.\)",
        ),
    ],
)
def test_mistakes_are_named(make, said):
    with pytest.raises(ParameterError, match=said):
        make()
