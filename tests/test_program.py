"""The program of a network: what each pass adds, its hash, its data, and its pages in the docs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import attrs
import pytest
from brian2 import Hz, ms
from zoo import ZOO

from biosnn import encoding, models, networks, plasticity
from biosnn.devices import devices, register, registry
from biosnn.errors import ParameterError
from biosnn.models import Operation
from biosnn.networks import Input, NetworkModel, Normalisation, Population, Presentation, Projection
from biosnn.program import program as program_module
from biosnn.program.lower import lower
from biosnn.program.program import BOUNDARY, STEP, Array, Connection, Group, Kernel, Program
from biosnn.program.recorders import Record
from biosnn.program.replicas import Replicas
from biosnn.simulation import compile

DOCS = Path(__file__).parents[1] / "docs"
CELL = models.NeuronModel(
    name="Cell",
    equations="dv/dt = -v/tau : 1",
    threshold="v > 1",
    reset="v = 0",
    parameters={"tau": 5 * ms},
    method="exact",
)


def network(model: models.NeuronModel = CELL, reset: str = "all", **projection) -> NetworkModel:
    """Inputs that fire at random, and cells; what a test is about is given."""
    more = {"transmit": "v_post += w", "weights": 0.5, **projection}
    return NetworkModel(
        name="small",
        dt=1 * ms,
        inputs={"image": Input(features=3)},
        populations={
            "inp": Population(model=encoding.poisson(max_rate=50 * Hz), n=3, drives={"x": "image"}),
            "cells": Population(model=model, n=2),
        },
        projections={"inp_cells": Projection(pre="inp", post="cells", **more)},
        presentation=Presentation(duration=20 * ms, reset=reset),
        output="cells",
    )


def kernel(program: Program, name: str) -> Kernel:
    return next(k for k in program.kernels if k.name == name)


def names(program: Program) -> set[str]:
    return {k.name for k in program.kernels}


def test_declarations_become_groups_connections_and_kernels() -> None:
    program = lower(network())
    sizes = {key: group.n for key, group in program.groups.items()}
    assert sizes == {"protocol": 1, "inp": 3, "cells": 2}
    made = program.connections["inp_cells"]
    assert (made.pre, made.post, made.size, made.pairs) == ("inp", "cells", 6, "all")
    test = kernel(program, "cells_spike_thresholder")
    assert (test.kind, test.code, test.event, test.clock) == ("threshold", "v > 1", "spike", STEP)
    transmits = kernel(program, "inp_cells_transmit")
    assert (transmits.kind, transmits.code, transmits.side) == ("pathway", "v_post += w", "pre")
    assert [k.place for k in program.kernels] == sorted(k.place for k in program.kernels)


def test_samples_are_shown_by_a_group_of_their_own() -> None:
    program = lower(network())
    assert kernel(program, "protocol_begin").clock == BOUNDARY
    assert kernel(program, "protocol_step").clock == STEP
    assert kernel(program, "load_image").targets == ("inp.x",)
    assert program.finishing[0].kind == "store"
    assert list(program.inputs) == ["image", "intensity"]


@pytest.mark.parametrize("name", ["image", "step", "boundary"])
def test_frames_arrive_whatever_their_input_is_called(name: str) -> None:
    counting = models.NeuronModel(
        name="Counting",
        equations="x : 1\nframes : 1\ntotal : 1",
        operations=(Operation(code="frames += 1", on="input"), Operation(code="total += x")),
        transient=("frames", "total"),
    )
    declared = NetworkModel(
        name="counting",
        dt=1 * ms,
        inputs={name: Input(features=1, kind="sequence", frame=5 * ms)},
        populations={"cells": Population(model=counting, n=1, drives={"x": name})},
        presentation=Presentation(duration=10 * ms),
        output="cells",
    )
    runnable = compile(declared, "runtime", per_sample=["cells.frames", "cells.total"])
    recording, _ = runnable.run([[[1.0], [2.0]]])
    assert [recording[f"cells.{key}"].item() for key in ("frames", "total")] == [2.0, 15.0]


def test_names_that_add_up_to_one_are_refused() -> None:
    def declared(population: str, image: str) -> NetworkModel:
        return NetworkModel(
            name="counted",
            dt=1 * ms,
            inputs={image: Input(features=1)},
            populations={
                population: Population(
                    model=models.NeuronModel(name="Copy", equations="x : 1", threshold="x > 0.5"),
                    n=1,
                    drives={"x": image},
                )
            },
            presentation=Presentation(duration=10 * ms),
            output=population,
        )

    record = Record(per_sample=("load.count",))
    assert "load_image" in names(lower(declared("load", "image"), record))
    with pytest.raises(ParameterError, match=r"'count' and 'load'.*'load_count'"):
        lower(declared("load", "count"), record)


def test_fast_variables_begin_anew_at_onsets() -> None:
    reset = kernel(lower(network()), "cells_reset_values")
    assert (reset.code, reset.clock, reset.forced) == ("v = reset_v", BOUNDARY, True)
    assert "cells_reset_values" not in names(lower(network(reset="none")))


def test_parameters_follow_their_schedule() -> None:
    eta = models.Schedule(start=0.2, stop=0.1, kind="linear")
    program = lower(network(rule=plasticity.pair_stdp(A_plus=eta)))
    assert program.scheduled
    begins, follows = (
        [k.name for k in program.kernels].index(f"protocol_{name}")
        for name in ("begin", "follow_schedules")
    )
    assert follows == begins + 1
    assert "inp_cells_A_plus = " in program.kernels[follows].code
    assert kernel(program, "cells_copy_inp_cells_A_plus").clock == BOUNDARY
    assert not lower(network(rule=plasticity.pair_stdp())).scheduled


def test_normalisation_waits_for_the_end_of_a_presentation() -> None:
    rule = plasticity.pair_stdp()
    program = lower(network(rule=rule, normalise=Normalisation(total=1.0)))
    scale = kernel(program, "inp_cells_norm_scale")
    assert scale.ends
    assert scale.plastic == ("inp_cells",)
    assert kernel(program, "cells_count").event == "spike"
    assert "inp_cells_norm_scale" not in names(lower(network(rule=rule)))


def test_recorders_add_what_they_observe() -> None:
    assert "cells_count" not in names(lower(network()))
    program = lower(network(), Record(per_sample=("cells.count", "cells.t_first"), spikes=("inp",)))
    assert {"cells_count", "cells_clear_count", "cells_t_first"} <= names(program)
    assert program.arrays["inp.t_sample"].link == "protocol.t_sample"
    assert program.counted == "cells.count"
    assert [name for name, array in program.arrays.items() if array.infinite] == ["cells.t_first"]


def test_draws_are_functions_of_the_seed() -> None:
    noisy = attrs.evolve(CELL, threshold="v > rand()")
    program = lower(network(noisy))
    assert "counter_uniform(random_seed" in kernel(program, "cells_spike_thresholder").code
    assert program.groups["cells"].links["random_seed"] == "protocol.seed"


def test_late_events_are_dropped() -> None:
    program = lower(network(delay=3 * ms))
    transmits = kernel(program, "inp_cells_transmit")
    assert transmits.delay == pytest.approx(3e-3)
    assert program.connections["inp_cells"].constants["delay_steps"] == 3
    assert transmits.code != "v_post += w"


def test_full_connections_are_numbered() -> None:
    assert lower(network()).connections["inp_cells"].numbered == "all"
    assert not lower(network(delay=3 * ms)).connections["inp_cells"].numbered
    pairs = lower(network(weights=None, pairs=([0, 1], [1, 0]), transmit="v_post += 1"))
    assert not pairs.connections["inp_cells"].numbered


def test_replicas_are_behind_each_other_in_one_group() -> None:
    program = lower(network(), replicas=Replicas(n=4))
    assert {key: g.n for key, g in program.groups.items()} == {"protocol": 4, "inp": 12, "cells": 8}
    assert program.connections["inp_cells"].shared
    assert program.arrays["cells.v"].size == 2


def test_events_that_are_read_early_are_cleared_at_the_end() -> None:
    late = attrs.evolve(CELL, spike_when="after_synapses")
    back = Projection(pre="cells", post="cells", transmit="v_post -= w", weights=0.1)

    def recurrent(model: models.NeuronModel) -> Program:
        declared = network(model)
        return lower(attrs.evolve(declared, projections={**declared.projections, "back": back}))

    assert kernel(recurrent(late), "cells_clear_spike").ends
    assert "cells_clear_spike" not in names(recurrent(CELL))


def test_the_layout_says_what_is_stored() -> None:
    stopping = "dv/dt = -v/tau : 1 (unless refractory)\ntwice = 2*v : 1\nall : 1 (shared)"
    program = lower(network(attrs.evolve(CELL, equations=stopping, refractory=2 * ms)))
    arrays = program.arrays
    assert arrays["cells.v"].paused
    assert arrays["cells.twice"].expression == "2*v"
    assert arrays["cells.all"].shared
    assert arrays["cells.lastspike"].clock_time
    assert arrays["inp_cells.w"].shape == (3, 2)
    assert [a.full_name for a in program.state] == sorted(
        {"cells.v", "cells.all", "cells.lastspike", "cells.not_refractory", "inp_cells.w"}
        | {a for a in arrays if a.startswith("inp.") and arrays[a].kept}
        | {"protocol.seen"}
    )


def test_what_samples_hand_on_is_known() -> None:
    assert lower(network()).carried == ()
    assert lower(network(reset="none")).carried == ("cells.v",)


def test_what_passes_add_is_not_named_as_handed_on() -> None:
    """Normalisation without a rule counts spikes and sums weights; it is the weights that go on."""
    program = lower(
        network(normalise=Normalisation(total=1.0)), Record(per_sample=("cells.count",))
    )
    assert {"cells.count", "cells.norm_inp_cells"} <= {array.full_name for array in program.state}
    assert program.carried == ("inp_cells.w",)


@pytest.mark.parametrize("name", ZOO)
def test_programs_survive_their_data(name: str) -> None:
    program = lower(ZOO[name]())
    again = Program.from_data(program.to_data())
    assert again.hash == program.hash
    assert again.schedule() == program.schedule()
    assert again.carried == program.carried


def test_the_hash_is_the_same_in_another_process() -> None:
    code = (
        "from biosnn import networks; from biosnn.program.lower import lower; "
        "print(lower(networks.winner_take_all(5, 3)).hash)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == lower(networks.winner_take_all(5, 3)).hash


def test_whatever_is_built_is_in_the_hash() -> None:
    small = network()
    programs = [
        lower(small),
        lower(small, Record(per_sample=("cells.count",))),
        lower(small, Record(traces={"cells.v": [0]})),
        lower(small, Record(traces={"cells.v": [1]})),
        lower(small, Record(snapshots={"inp_cells.w": 2})),
        lower(small, replicas=Replicas(n=2)),
        lower(small, replicas=Replicas(n=2, shared=False)),
        lower(attrs.evolve(small, dt=0.5 * ms)),
        lower(network(weights=0.25)),
        lower(network(transmit="v_post += 2*w")),
        lower(network(delay=1 * ms)),
        lower(network(delay=2 * ms)),
        lower(network(attrs.evolve(CELL, parameters={"tau": 6 * ms}))),
        lower(network(attrs.evolve(CELL, method="euler"))),
        lower(network(attrs.evolve(CELL, refractory=1 * ms))),
        lower(network(attrs.evolve(CELL, refractory=2 * ms))),
        lower(network(attrs.evolve(CELL, initial={"v": 0.5}))),
    ]
    assert len({program.hash for program in programs}) == len(programs)
    assert lower(network()).hash == programs[0].hash


def test_devices_are_registered_once() -> None:
    assert list(devices())[:3] == ["runtime", "cpp", "cuda"]
    for name in ("cpp", "auto"):
        with pytest.raises(ParameterError, match="no device has yet"):
            register(name, lambda program: None)
    with pytest.raises(ParameterError, match="options"):
        register("mine", lambda program: None, options=("speed",))
    assert "mine" not in devices()


def test_registering_imports_no_brian2() -> None:
    code = "import sys, biosnn.devices; assert 'brian2' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_device_gets_the_options_that_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    got = {}
    monkeypatch.setattr(registry, "_registered", dict(registry.devices()))
    register("mine", lambda program, **options: got.update(options), options=("precision", "math"))
    registry.build("mine", lower(network()), {"precision": "single", "target": "numpy"})
    assert got == {"precision": "single"}


# --- pages


def test_the_page_for_authors_knows_every_part_of_a_program() -> None:
    page = (DOCS / "backends.md").read_text()
    for kind in (Program, Group, Connection, Kernel, Array):
        section = page.split(f"### {kind.__name__}\n")[1].split("\n#")[0]
        listed = re.findall(r"`(\w+)`", section.split("\n\n")[0])
        assert listed == [field.name for field in attrs.fields(kind)], kind.__name__
    kinds = ast.get_docstring(
        next(
            node
            for node in ast.parse(Path(program_module.__file__).read_text()).body
            if isinstance(node, ast.ClassDef) and node.name == "Kernel"
        )
    )
    section = page.split("### Kinds of kernels\n")[1].split("\n#")[0]
    said = set(re.findall(r'``"(\w+)"``', kinds.split("kind : str")[1].split("code : str")[0]))
    assert set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE)) == said


PAGES = {
    "winner_take_all": lambda: networks.winner_take_all(784, 400),
    "diehl_cook_2015": lambda: networks.diehl_cook_2015(784, 400),
}


@pytest.mark.parametrize("name", PAGES)
def test_schedules_in_the_docs_are_those_of_today(name: str) -> None:
    """Written anew by ``python tests/test_program.py``."""
    assert (DOCS / "programs" / f"{name}.md").read_text() == _page(name)


def _page(name: str) -> str:
    return (
        f"# The program of `networks.{name}(784, 400)`\n\n"
        f"What `lower(network).schedule()` prints: in the order of a time step, what runs when, "
        f"and its code\n(see [devices for other backends](../backends.md)).\n\n"
        f"```text\n{lower(PAGES[name]()).schedule()}\n```\n"
    )


if __name__ == "__main__":
    for name in PAGES:
        (DOCS / "programs" / f"{name}.md").write_text(_page(name))
