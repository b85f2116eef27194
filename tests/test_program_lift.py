"""Lifting live Brian2 objects: what comes along, and what is refused by object and reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import (
    Clock,
    Equations,
    NeuronGroup,
    SpikeGeneratorGroup,
    Synapses,
    TimedArray,
    linked_var,
    ms,
    mV,
)

from biosnn.errors import ParameterError
from biosnn.program.integration import integration_code
from biosnn.program.lift import lift, lift_group
from biosnn.program.program import Program

DT = 0.5 * ms


@pytest.fixture(autouse=True)
def _alone(fresh_brian2: None) -> None:
    pass


def made(equations: str = "dv/dt = -v/tau : 1", n: int = 3, **more: Any) -> NeuronGroup:
    given = {"threshold": "v > 1", "reset": "v = 0", "method": "euler", **more}
    names = {"tau": 10 * ms, **given.pop("namespace", {})}
    return NeuronGroup(n, equations, clock=Clock(dt=DT), namespace=names, **given)


def kinds(program: Program) -> list[tuple[str, str]]:
    return [(kernel.kind, kernel.code) for kernel in program.kernels]


def test_a_group_comes_with_its_equations_values_and_constants() -> None:
    drive = TimedArray(np.arange(4.0), dt=1 * ms)
    group = made(
        "dv/dt = (E - v)/tau + drive(t)*x/ms : 1 (unless refractory)\nx : 1\nb : boolean (shared)",
        refractory=2 * ms,
        namespace={"E": 0.5, "drive": drive, "unused": "text"},
    )
    group.v, group.x, group.b = "0.1*i", 2.0, True
    program = lift_group(group, {"E": 3.0, "other": 5 * mV})
    (key,) = program.groups
    lifted = program.groups[key]
    assert program.dt == float(DT)
    assert lifted.n == 3
    assert lifted.method == "euler"
    assert lifted.refractory == 2 * ms
    assert lifted.constants == {"E": 0.5, "drive": drive, "tau": 10 * ms, "other": 5 * mV}
    assert dict(Equations(lifted.equations)) == dict(group.user_equations)
    np.testing.assert_allclose(program.arrays[f"{key}.v"].initial, [0, 0.1, 0.2])
    np.testing.assert_array_equal(program.arrays[f"{key}.b"].initial, [True])
    assert program.arrays[f"{key}.v"].paused
    assert (program.arrays[f"{key}.lastspike"].initial == -1e4).all()


def test_kernels_come_in_the_order_of_brians_schedule() -> None:
    group = made(
        "dv/dt = -v/tau : 1\nheld = 2*v : 1 (constant over dt)\nlow : 1",
        events={"falling": "v < 0.1"},
        refractory=2 * ms,
    )
    group.run_on_event("falling", "low += 1")
    group.run_regularly("v += 0.1", when="end")
    program = lift_group(group)
    assert kinds(program) == [
        ("held", ""),
        ("state_update", ""),
        ("threshold", "v > 1"),
        ("threshold", "v < 0.1"),
        ("reset", "v = 0"),
        ("reset", "low += 1"),
        ("statements", "v += 0.1"),
    ]
    (held,) = (array for array in program.arrays.values() if array.held)
    assert held.expression == "2*v"
    assert {k.event for k in program.kernels} == {"", "spike", "falling"}
    assert [k.event for k in program.kernels if k.refractory] == ["spike"]
    program.schedule()


def test_an_exact_solution_holds_for_time_steps_that_divide_those_of_an_array_only() -> None:
    drive = TimedArray(np.arange(4.0), dt=1 * ms)
    group = made("dv/dt = (drive(t) - v)/tau : 1", method="exact", namespace={"drive": drive})
    program = lift_group(group)
    assert "exp(" in integration_code(program, group.name)
    with pytest.raises(ParameterError, match="method must be one that can integrate"):
        integration_code(program.changed(dt=0.7e-3), group.name)


@pytest.mark.parametrize(
    ("equations", "method"),
    [("dv/dt = -v/tau : 1", "exact"), ("dv/dt = -v**2/tau : 1", "euler"),
     ("dv/dt = -v/tau + xi*v/tau**0.5 : 1", "milstein")],
)  # fmt: skip
def test_of_several_methods_the_first_that_can_is_taken(equations: str, method: str) -> None:
    group = made(equations, method=("exact", "euler", "milstein"))
    (lifted,) = lift_group(group).groups.values()
    assert lifted.method == method


def test_links_to_what_changes_are_refused_and_others_become_values() -> None:
    other = made("dz/dt = -z/tau : 1\nfixed : 1 (constant)")
    other.fixed = [1, 2, 3]
    group = made("dv/dt = (y - v)/tau : 1\ny : 1 (linked)")
    group.y = linked_var(other, "z", index=np.array([2, 1, 0]))
    with pytest.raises(ParameterError, match=f"{group.name}.*y, which is linked to {other.name}"):
        lift_group(group)
    group = made("dv/dt = (y - v)/tau : 1\ny : 1 (linked)")
    group.y = linked_var(other, "fixed", index=np.array([2, 1, 0]))
    y = lift_group(group).arrays[f"{group.name}.y"]
    assert y.constant
    np.testing.assert_array_equal(y.initial, [3, 2, 1])


def test_what_runs_on_another_clock_is_refused() -> None:
    group = made()
    runner = group.run_regularly("v = 0", dt=2 * ms)
    with pytest.raises(ParameterError, match=f"{runner.name}.*dt.*its group"):
        lift_group(group)


def test_what_is_no_known_object_is_refused() -> None:
    group = made()
    group.contained_objects.append(SpikeGeneratorGroup(1, [], [] * ms, clock=group.clock))
    with pytest.raises(ParameterError, match="SpikeGeneratorGroup"):
        lift_group(group)


def test_synapses_come_with_pathways_sums_and_pairs() -> None:
    pre, post = made(n=2), made("dv/dt = (s - v)/tau : 1\ns : 1")
    synapses = Synapses(
        pre, post, "w : 1\ndu/dt = -u/tau : 1 (clock-driven)\ns_post = w*u : 1 (summed)",
        on_pre={"up": "u += w"}, on_post={"down": "w -= step"}, delay={"up": 1 * ms},
        namespace={"tau": 5 * ms, "step": 0.1}, clock=pre.clock, method="euler",
    )  # fmt: skip
    synapses.connect(i=[0, 1, 1], j=[2, 0, 1])
    synapses.w = [1, 2, 3]
    synapses.run_regularly("w = 0.9*w", dt=2 * ms)
    program = lift([pre, post], [synapses])
    connection = program.connections[synapses.name]
    assert (connection.n_pre, connection.n_post, connection.size) == (2, 3, 3)
    np.testing.assert_array_equal(connection.indices, [[0, 1, 1], [2, 0, 1]])
    assert connection.constants == {"tau": 5 * ms, "step": 0.1}
    assert "w*u" in str(Equations(connection.equations)["s_post"].expr)
    found = {kernel.label: kernel for kernel in program.of(synapses.name)}
    assert (found["up"].delay, found["up"].side, found["down"].side) == (0.001, "pre", "post")
    (summed,) = program.of(synapses.name, "summed")
    assert (summed.targets, summed.side) == ((f"{post.name}.s",), "post")
    (regular,) = program.of(synapses.name, "statements")
    assert regular.every == 4
    np.testing.assert_array_equal(program.arrays[f"{synapses.name}.w"].initial, [1, 2, 3])


def test_event_driven_synapses_are_refused() -> None:
    pre, post = made(), made()
    synapses = Synapses(
        pre, post, "dtrace/dt = -trace/(5*ms) : 1 (event-driven)", on_pre="v_post += trace",
        clock=pre.clock,
    )  # fmt: skip
    synapses.connect()
    with pytest.raises(ParameterError, match=r"trace \(event-driven\).*clock-driven"):
        lift([pre, post], [synapses])


def test_delays_that_differ_are_refused() -> None:
    pre, post = made(), made()
    synapses = Synapses(pre, post, on_pre="v_post += 1", clock=pre.clock)
    synapses.connect(j="i")
    synapses.delay = [0, 1, 2] * ms
    with pytest.raises(ParameterError, match="delays that differ"):
        lift([pre, post], [synapses])
