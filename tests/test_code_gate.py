"""Every text that becomes code passes one gate; what is no arithmetic is refused there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from brian2 import ms

from biosnn import models, plasticity
from biosnn.code_gate import (
    check_bump,
    check_equations,
    check_expression,
    check_name,
    check_statements,
    check_target_name,
)
from biosnn.errors import ParameterError
from biosnn.models import Companion, Event, Operation, SynapseModel, Trace
from biosnn.networks import Projection
from biosnn.plasticity import PlasticityRule, Statements

#: S1: sympy would evaluate the string, whose escapes hide what it says.
STRING = r"exp('\137\137import\137\137(\"pathlib\").Path(\"MARK\").touch()')"

EQUATIONS = {
    "a string in a call": (f"z = {STRING} : 1", "'"),
    "double quotes": ('z = exp("1") : 1', "'\"'"),
    "an attribute": ("x = a.real : 1", "a.real"),
    "an attribute of a number": ("x = (1).real : 1", "(1).real"),
    "an index": ("x = a[0] : 1", "'['"),
    "an unknown function": ("x = getattr(a, b) : 1", "getattr(...)"),
    "a call of a call": ("x = exp(a)(b) : 1", "exp(a)(b)"),
    "a starred argument": ("x = exp(*a) : 1", "*a"),
    "a keyword argument": ("x = exp(a=1) : 1", "exp(a=1)"),
    "a lambda": ("x = lambda : 1", "lambda"),
    "an assignment expression": ("x = (y := 3) : 1", "(y"),
    "a conditional": ("x = 1 if a else 2 : 1", "1 if a else 2"),
    "a comprehension": ("x = (a for a in b) : 1", "a for a in b"),
    "a bit operator": ("x = a & b : 1", "'&'"),
    "None": ("x = None : 1", "None"),
    "an imaginary number": ("x = 1j : 1", "1j"),
    "a chain of comparisons": ("x = int(a < b < c) : 1", "a < b < c"),
    "too few arguments": ("x = clip(v, 0) : 1", "2 of them"),
    "a unit with an attribute": ("x : volt.__class__", "volt.__class__"),
    "a unit that is called": ("x : volt(1)", "volt(1)"),
    "a unit that is unknown": ("x : furlong", "furlong"),
    "a unit of a large power": ("x : volt**99999", "volt**99999"),
    "a name that is not ASCII": ("µ : 1", "µ"),
    "a word of C++": ("double : 1", "double"),
    "a word of Python": ("lambda : 1", "lambda"),
    "a private name": ("_x : 1", "_x"),
    "no unit": ("x = 1", "x = 1"),
    "a hidden line": ("# comment \r x = exp('') : 1\n", "comment"),
    "a hidden line of Unicode": ("# comment \u2028 x = exp('') : 1\n", "comment"),
    "a circle": ("x = y : 1\ny = x : 1", "'x'"),
    # bombs (S8)
    "powers of powers": ("x = 9**9**9 : 1", "3.8742e+08"),
    "powers of fractions": ("x = ((((1+1/10**9)**50)**50)**50)**50 : 1", "powers of constants"),
    "a large product": ("x = floor(exp(10**9)) : 1", "double precision"),
    "a remainder of zero": ("x = v % 0 : 1", "divisor of 0"),
    "a division by zero": ("x = v/(1 - 1) : 1", "divisor of 0"),
    "an infinite number": ("x = 1e999 : 1", "double precision"),
    "a number of many digits": (f"x = {'9' * 4000} : 1", "digits"),
    "deep parentheses": (f"x = {'(' * 5000}1{')' * 5000} : 1", "nested"),
    "deep signs": (f"x = {'-' * 40000}1 : 1", "deep"),
    "many lines": ("\n".join(f"x{k} : 1" for k in range(20_000)), "characters"),
    "many short lines": ("a:1\n" * 5_000, "equations"),
    "a long name": (f"{'x' * 5_000} : 1", "xxx"),
    "a polynomial of many terms": ("x = (a + b + c + d + e)**100 : 1", "terms"),
    "doubled subexpressions": (
        "\n".join(["a0 = b + c : 1", *(f"a{k + 1} = a{k} + a{k}*k : 1" for k in range(60))]),
        "terms",
    ),
    "nested subexpressions": (
        "\n".join(["a0 = b : 1", *(f"a{k + 1} = exp(a{k}) : 1" for k in range(200))]),
        "deep",
    ),
    "growing subexpressions": (
        "\n".join(["a0 = b : 1", *(f"a{k + 1} = exp(a{k}*a{k}) : 1" for k in range(30))]),
        "operators",
    ),
}

STATEMENTS = {
    "a string": f"x = {STRING}",
    "a bare call": "exp(1)",
    "an import": "import os",
    "two targets": "a = b = 1",
    "a tuple": "a, b = 1",
    "an index": "a[0] = 1",
    "an attribute": "a.b = 1",
    "a deletion": "del a",
    "an annotation": "a: b = 1",
    "a condition": "if a: b = 1",
    "a loop": "while a: b = 1",
    "a function": "def f(): a = 1",
    "a word of C++": "double = 1",
    "a matrix product": "a @= 1",
    "shifts": "a <<= 1",
}


@pytest.mark.parametrize("case", EQUATIONS)
def test_equations_that_are_no_arithmetic_are_refused(case: str) -> None:
    text, quoted = EQUATIONS[case]
    with pytest.raises(ParameterError) as caught:
        check_equations("mine", "equations", text)
    message = str(caught.value)
    assert message.startswith("mine.equations must be ")
    assert quoted in message
    assert len(message) < 600


@pytest.mark.parametrize("case", STATEMENTS)
def test_statements_that_are_no_assignments_are_refused(case: str) -> None:
    with pytest.raises(ParameterError, match=r"^mine\.reset must be "):
        check_statements("mine", "reset", STATEMENTS[case])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dv/dt = (E_L - v)/tau + xi*sigma*tau**-0.5 : volt (unless refractory)",
        "# the membrane, in µV\nI = I_a +   # both currents\n    I_b : amp\n\nb : boolean",
        "g : siemens/meter**2 (constant, shared)\nx = int(v > 3*mV and not b) : integer",
        "q_post = w*g : amp (summed)",
        "dm/dt = 1/exp((v + 40*mV)/(9*mV))**3/ms : 1\r\nx : 1 (linked)\r\n",
    ],
)
def test_equations_of_brian2_pass(text: str) -> None:
    check_equations("mine", "equations", text)


def test_statements_conditions_and_bumps_of_brian2_pass() -> None:
    check_statements("mine", "reset", "v = E_L; w += b  # both\n\n  u = clip(u, 0, inf)\n")
    check_statements("mine", "reset", "")
    check_expression("mine", "threshold", "v > V_th and not (u <= 1e-3 or rand( ) < p)")
    check_bump("Trace", "bump", "= 1")
    check_bump("Trace", "bump", "+= 1 - x")
    check_target_name("mine", "links", "protocol.t_sample")


@pytest.mark.parametrize("bump", ["1", "-= 1", "== 1", "+= '1'", "= 1; v = 2 if w else 3", 5])
def test_a_bump_is_one_assignment(bump: Any) -> None:
    with pytest.raises(ParameterError, match=r"Trace\.bump"):
        Trace(name="x", tau=20 * ms, bump=bump)


@pytest.mark.parametrize("name", ["", "a b", "1a", "é", "a.b", "../a", "int", "class", None, "a\n"])
def test_names_are_identifiers(name: Any) -> None:
    with pytest.raises(ParameterError, match=r"mine\.names must be "):
        check_name("mine", "names", name)


def _neuron(**changes: Any) -> Any:
    return models.neuron(**{"name": "mine", "equations": "v : 1", "parameters": {}, **changes})


def _joined(**changes: Any) -> Projection:
    return Projection(**{"pre": "a", "post": "b", "weights": 1.0, **changes})


def _rule(**changes: Any) -> PlasticityRule:
    return PlasticityRule(**{"name": "mine", "statements": (), **changes})


#: every field of a declaration that becomes code, with the string of S1 in it
DOORS: dict[str, Callable[[], Any]] = {
    "NeuronModel.equations": lambda: _neuron(equations=f"v = {STRING} : 1"),
    "NeuronModel.threshold": lambda: _neuron(threshold=f"v > {STRING}"),
    "NeuronModel.reset": lambda: _neuron(threshold="v > 1", reset=f"v = {STRING}"),
    "NeuronModel.refractory": lambda: _neuron(threshold="v > 1", refractory=f"v > {STRING}"),
    "NeuronModel.events": lambda: _neuron(events={"e": f"v > {STRING}"}),
    "NeuronModel.events' names": lambda: _neuron(events={STRING: "v > 1"}),
    "NeuronModel.parameters": lambda: _neuron(parameters={STRING: 1.0}),
    "NeuronModel.initial": lambda: _neuron(initial={STRING: 1.0}),
    "NeuronModel.links": lambda: _neuron(equations="v : 1 (linked)", links={"v": STRING}),
    "Event.condition": lambda: Event(condition=f"v > {STRING}"),
    "Operation.code": lambda: Operation(code=f"v = {STRING}"),
    "Operation.on": lambda: Operation(code="v = 1", on=STRING),
    "Companion.equations": lambda: Companion(equations=f"v = {STRING} : 1"),
    "Companion.parameters": lambda: Companion(equations="v : 1", parameters={STRING: 1.0}),
    "Trace.name": lambda: Trace(name=STRING, tau=20 * ms),
    "Trace.bump": lambda: Trace(name="x", tau=20 * ms, bump=f"= {STRING}"),
    "SynapseModel.current": lambda: SynapseModel(
        name="s", companion=Companion(equations="g : 1"), current=STRING
    ),
    "SynapseModel.transmit": lambda: SynapseModel(
        name="s", companion=Companion(equations="g : 1"), transmit=f"g_post += {STRING}"
    ),
    "SynapseModel.equations": lambda: SynapseModel(
        name="s", companion=Companion(equations="g : 1"), equations=f"x = {STRING} : 1"
    ),
    "Statements.code": lambda: Statements(side="pre", code=f"w = {STRING}"),
    "Statements.event": lambda: Statements(side="pre", code="w = 1", event=STRING),
    "PlasticityRule.equations": lambda: _rule(equations=f"x = {STRING} : 1"),
    "PlasticityRule.parameters": lambda: _rule(parameters={STRING: 1.0}),
    "PlasticityRule.modulators": lambda: _rule(modulators={"r": STRING}),
    "Projection.transmit": lambda: _joined(transmit=f"v_post += {STRING}"),
    "Projection.equations": lambda: _joined(equations=f"x = {STRING} : 1"),
    "Projection.parameters": lambda: _joined(parameters={STRING: 1.0}),
    "Projection.on_event": lambda: _joined(transmit="v_post += w", on_event=STRING),
}


@pytest.mark.parametrize("door", DOORS)
def test_no_text_of_a_declaration_goes_round_the_gate(
    door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S1: refused where it is declared, and nothing of it is run."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError):
        DOORS[door]()
    assert not list(tmp_path.iterdir())


def test_the_library_passes() -> None:
    """What the gate allows is what the field writes: all models, synapses and rules of ours."""
    for make in (models.adex, models.hodgkin_huxley, models.pinsky_rinzel, models.izhikevich):
        model = make()
        check_equations(model.name, "equations", model.equations)
    cell = models.lif().with_synapses(**{f"s{k}": models.ampa() for k in range(40)})
    assert len(cell.receptors) == 40
    assert plasticity.triplet_stdp().statements


@pytest.mark.parametrize("name", ["v_pre", "N_post"])
def test_variables_of_neurons_leave_the_endings_of_synapses(name: str) -> None:
    """Brian2 would refuse them when the network is built, in its own words."""
    with pytest.raises(ParameterError, match=rf"'{name}'.*Synapses call the variables"):
        _neuron(equations=f"{name} : 1")


@pytest.mark.parametrize("name", ["nothing", "tau"])
def test_what_stays_in_double_precision_is_a_variable(name: str) -> None:
    with pytest.raises(ParameterError, match=r"mine\.double must be variables of the model \(v\)"):
        attrs.evolve(_neuron(parameters={"tau": 1 * ms}), double=(name,))
