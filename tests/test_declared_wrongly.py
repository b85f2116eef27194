"""What is declared wrongly is refused where it is declared, and says what would be right.

A row is what is declared, and words that the message must hold: where it is, what was given, and
what would be accepted.
"""

from __future__ import annotations

import json

import attrs
import numpy as np
import pytest
from brian2 import Equations, Mohm, NeuronGroup, cm, ms, mV, nS, uA, volt

from biosnn import models, plasticity
from biosnn.declaration import from_data, to_data
from biosnn.errors import ParameterError
from biosnn.models import Companion, Schedule, SynapseModel, Trace, Uniform
from biosnn.networks import (
    FixedProbability,
    Input,
    NetworkModel,
    Pattern,
    Population,
    Presentation,
    Projection,
)
from biosnn.plasticity import PlasticityRule, Statements
from biosnn.simulation import compile

CELL = models.lif().with_synapses(exc=models.exponential_current())
SILENT = models.neuron(name="silent", equations="x : 1")
PLAIN = models.neuron(name="plain", equations="v : 1", threshold="False", reset="")


def source(*steps: int, **more):
    """A neuron that fires in given steps of a presentation."""
    return models.neuron(
        name="source",
        equations="step : integer (linked)",
        threshold=" or ".join(f"step == {step}" for step in steps),
        reset="",
        links={"step": "protocol.step"},
        **more,
    )


def network(projections=None, *, inputs=None, reset="none", sizes=(2, 3), dt=0.5 * ms, **models_):
    populations = {"a": source(2, 5), "b": PLAIN, **models_}
    sizes = dict(zip("ab", sizes, strict=True))
    return NetworkModel(
        name="net",
        dt=dt,
        inputs=inputs or {},
        populations={
            key: model
            if isinstance(model, Population)
            else Population(model=model, n=sizes.get(key, 1))
            for key, model in populations.items()
        },
        projections=projections or {},
        presentation=Presentation(duration=20 * ms, reset=reset),
        output="b",
    )


def joined(pre="a", post="b", *, on=None, **given):
    """The network with one projection, ``p``."""
    given = {"weights": 1.0, "transmit": "v_post += w", **given}
    on = {"b": CELL} if "synapse" in given and on is None else on or {}
    if "synapse" in given:
        del given["transmit"]
    return network({"p": Projection(pre=pre, post=post, **given)}, **on)


def state_after(declared, *, learn=False):
    return compile(declared, "runtime").run({"n_samples": 1}, learn=learn)[1]


def rule(code="w += 0.1", side="pre", event="spike", **more):
    statements = (Statements(side=side, event=event, code=code),)
    return PlasticityRule(name="own", statements=statements, **more)


WEIGHTS = {
    "a conductance": (lambda: joined(weights=1 * nS), "weights plain number 1. nS synapse g_max"),
    "a list of them": (lambda: joined(weights=[1 * nS] * 6), "weights plain number nsiemens"),
    "drawn with a unit": (
        lambda: joined(weights=Uniform(low=0 * nS, high=1 * nS)),
        "weights plain number S g_max",
    ),
    "a word": (lambda: joined(weights="rand("), "weights 'rand(' valid Brian2 code"),
    "turned": (lambda: joined(weights=np.ones((3, 2))), "projections['p'].weights (2, 3) (3, 2)"),
    "one to one between sizes": (  # C2
        lambda: joined(pairs="one_to_one"),
        "projections['p'].pairs one size 2 to 3 neurons index arrays",
    ),
    "a matrix for some pairs": (
        lambda: joined(weights=np.ones((2, 3)), pairs="all_but_self"),
        'weights (2, 3) one per pair "all"',
    ),
    "above the rule's": (
        lambda: joined(weights=2.0, rule=plasticity.pair_stdp()),
        "weights <= w_max 2.0",
    ),
    "below the rule's": (
        lambda: joined(weights=Uniform(low=-1, high=1), rule=plasticity.pair_stdp()),
        "weights >= w_min -1",
    ),
    "missing": (lambda: joined(weights=None), "projections['p'].weights given v_post += w None"),
    "missing for a synapse": (
        lambda: joined(weights=None, synapse="exc"),
        "weights given I_exc_post None",
    ),
}

CODES = {
    "event-driven": (
        lambda: joined(
            equations="dx/dt = -x/(5*ms) : 1 (event-driven)\ndy/dt = (x - y)/(5*ms) : 1"
        ),
        "Projection(a->b).equations (event-driven) x every step (clock-driven)",
    ),
    "event-driven in a synapse": (
        lambda: SynapseModel(
            name="own",
            companion=Companion(equations="g : 1"),
            equations="dx/dt = -x/(5*ms) : 1 (event-driven)\nI_post = x : 1 (summed)",
        ),
        "own.equations (event-driven) x every step",
    ),
    "no equations": (lambda: joined(equations="dx/dt = "), "equations valid 'dx/dt = '"),
    "the weight twice": (lambda: joined(equations="w : 1"), "projections['p'].equations w weight"),
    "a share of nothing": (
        lambda: joined(transmit="v_post += 1", short_term=models.tsodyks_markram()),
        "projections['p'].short_term w 'v_post += 1'",
    ),
    "no spikes": (lambda: joined(on={"a": SILENT}), "on_event a (it has none) 'spike'"),
    "no spikes for a synapse": (
        lambda: joined(synapse="exc", on={"a": SILENT, "b": CELL}),
        "on_event a (it has none) 'spike'",
    ),
    "one name, two values": (
        lambda: joined(
            transmit="v_post += w*gain",
            parameters={"gain": 2.0},
            rule=rule("w += gain", parameters={"gain": 100.0}),
        ),
        "parameters['gain'] 100.0 rule 2.0",
    ),
    "chance in what is transmitted": (
        lambda: joined(transmit="v_post += w*rand()"),
        "Projection(a->b).transmit rand() without random operation neuron",
    ),
    "chance in a rule": (lambda: rule("w += randn()"), "own.statements[0] randn() operation"),
    "chance in equations": (lambda: joined(equations="x = rand() : 1"), "equations rand()"),
    "nonsense": (lambda: joined(transmit="v_post +== w"), "transmit valid 'v_post +== w'"),
}

PARTS = {
    "a delay in words": (lambda: joined(delay="1ms"), "delay a time '1ms' ms"),
    "no delay": (lambda: joined(delay=None), "delay a time None"),
    "a delay without unit": (lambda: joined(delay=1.0), "delay a time 1.0 ms"),
    "a list of delays": (lambda: joined(delay=[1 * ms] * 6), "delay a time array ms"),
    "a rule not called": (
        lambda: joined(rule=plasticity.pair_stdp),
        "rule PlasticityRule pair_stdp(...)",
    ),
    "short-term not called": (
        lambda: joined(short_term=models.tsodyks_markram),
        "short_term Companion tsodyks_markram(...)",
    ),
}


def membrane(input_line="I : amp", potential="v", **more):
    return models.neuron(
        name="own",
        equations=f"d{potential}/dt = (-{potential} + I*R)/tau : volt\n{input_line}",
        threshold=f"{potential} > 1*mV",
        reset=f"{potential} = 0*mV",
        parameters={"R": 1 * Mohm, "tau": 5 * ms},
        **more,
    )


CURRENT = models.exponential_current()
RECEPTORS = {
    "a function": (
        lambda: models.lif().with_synapses(exc=models.ampa),
        "with_synapses(exc=...) SynapseModel ampa(...)",
    ),
    "short-term plasticity": (
        lambda: models.lif().with_synapses(exc=models.tsodyks_markram()),
        "with_synapses(exc=...) SynapseModel Companion Projection short_term",
    ),
    "called pre": (lambda: models.lif().with_synapses(pre=CURRENT), "'pre' identifier"),
    "called late_post": (
        lambda: models.lif().with_synapses(late_post=CURRENT),
        "'late_post' identifier",
    ),
    "called ext": (lambda: models.lif().with_synapses(ext=CURRENT), "'ext' identifier"),
    "no v": (
        lambda: membrane(potential="U").with_synapses(exc=models.ampa()),
        "own.with_synapses(exc=...) AMPA no variable v",
    ),
    "a constant input": (
        lambda: membrane("I : amp (constant)").with_synapses(exc=CURRENT),
        "with_synapses(exc=...) I (constant) without flags I_ext",
    ),
    "a linked input": (
        lambda: membrane("I : amp (linked)", links={"I": "a.x"}).with_synapses(exc=CURRENT),
        "with_synapses(exc=...) I (linked) without flags",
    ),
    "a sum that is driven": (
        lambda: network(
            inputs={"image": Input(features=3)},
            b=Population(model=CELL, n=3, drives={"I": "image"}),
        ),
        "populations['b'].drives 'I' I_ext",
    ),
}

RESETS = {
    "an unknown variable": (lambda: network(reset={"b": ("u",)}), "reset['b'] one of v 'u'"),
    "a word": (lambda: network(reset={"b": "v"}), "reset['b'] tuple ('v',)"),
    "an unknown variable of synapses": (
        lambda: network(
            {"p": Projection(pre="a", post="b", transmit="v_post += 1", equations="s : 1")},
            reset={"p": ("z",)},
        ),
        "reset['p'] one of s 'z'",
    ),
}


def named(**more):
    """A population ``b`` whose model has a parameter or variable of the network's."""
    return network(b=models.neuron(name="own", **{"equations": "v : 1", **more}))


TRACE = Trace(name="x", tau=5 * ms)
NAMES = {
    "a parameter called stream": (
        lambda: named(parameters={"stream": 2.0}),
        "populations['b'].model own parameter 'stream' network",
    ),
    "a parameter called active_for": (
        lambda: named(parameters={"active_for": 2.0}),
        "parameter 'active_for'",
    ),
    "a variable called count": (
        lambda: named(equations="count : 1"),
        "populations['b'].model own variable 'count' network",
    ),
    "a variable called t_first": (lambda: named(equations="t_first : second"), "'t_first'"),
    "transmission to nothing": (
        lambda: joined(transmit="vv_post += w"),
        "projections['p'].transmit 'vv_post'",
    ),
    "a parameter that is misspelt": (
        lambda: joined(on={"b": source(7)}, transmit="", rule=rule("w += A_pluss")),
        "projections['p'].rule.statements[0] 'A_pluss'",
    ),
    "a trace that nobody has": (
        lambda: joined(on={"b": source(7)}, transmit="", rule=rule("w += y_post")),
        "rule.statements[0] 'y_post'",
    ),
    "an unknown event": (
        lambda: joined(rule=rule(event="teach")),
        "projections['p'].rule.statements[0].event a (spike) 'teach'",
    ),
    "no spikes of the target": (
        lambda: joined(on={"b": SILENT}, transmit="x_post += w", rule=rule(side="post")),
        "rule.statements[0].event b (it has none) 'spike'",
    ),
    "a modulator with a unit": (
        lambda: network(
            {
                "p": Projection(
                    pre="a",
                    post="b",
                    weights=0.5,
                    rule=rule("w += r_post", modulators={"r": "critic.d"}),
                )
            },
            critic=models.neuron(name="critic", equations="d : Hz"),
        ),
        "projections['p'].rule.modulators['r'] number 'critic.d'",
    ),
    "one trace name on both sides": (
        lambda: joined(
            pre="a",
            post="a",
            transmit="",
            rule=rule("w += x_post", pre_traces=(TRACE,), post_traces=(TRACE,)),
        ),
        "populations['a'].variables 'p_x' rule (pre) rule (post)",
    ),
    "prefixes that meet": (
        lambda: network(
            {
                "c": Projection(
                    pre="a",
                    post="b",
                    weights=0.0,
                    rule=rule(pre_traces=(attrs.evolve(TRACE, name="b_x"),)),
                ),
                "c_b": Projection(pre="a", post="b", weights=0.0, rule=rule(pre_traces=(TRACE,))),
            }
        ),
        "'c_b_x' projections['c'].rule projections['c_b'].rule",
    ),
}

VOLTS = models.neuron(name="volts", equations="v : volt", threshold="v > 1*mV", reset="v = 0*mV")
LEAKY = {"equations": "dv/dt = (E - v)/tau : volt", "threshold": "v > 0*mV", "reset": "v = E"}
FALL = {"E": -70 * mV, "tau": 5 * ms}


def leaky(**changes):
    """A leaky neuron of one's own, with something else in it."""
    return models.neuron(**{"name": "leaky", "parameters": FALL, **LEAKY, **changes})


def linked(to, unit="1", **more):
    """The network in which ``b`` has a variable linked to another population's."""
    cell = models.neuron(name="own", equations=f"z : {unit} (linked)\nv : 1", links={"z": to})
    return network(b=cell, **more)


UNITS = {
    "no time constant": (
        lambda: leaky(equations="dv/dt = E - v : volt", reset=None, threshold=None),
        "leaky.equations V/s dv/dt 'E - v' time constant",
    ),
    "a parameter without unit": (
        lambda: leaky(parameters={"E": -70, "tau": 5 * ms}),
        "leaky.equations dv/dt 'E' 'v' E = -70 unit?",
    ),
    "a subexpression": (
        lambda: leaky(equations="dv/dt = (E - v)/tau : volt\nu = 2*v : 1"),
        "leaky.equations plain numbers u '2*v' V",
    ),
    "an exponent": (
        lambda: leaky(equations="dv/dt = (E - v)/tau*exp(v) : volt"),
        "leaky.equations exp 'v'",
    ),
    "a threshold": (lambda: leaky(threshold="v > 1"), "leaky.threshold 'v > 1' '1'"),
    "a threshold that is no condition": (lambda: leaky(threshold="v"), "leaky.threshold 'v' V_th"),
    "a reset": (lambda: leaky(reset="v = 0"), "leaky.reset 'v = 0' V"),
    "an event": (lambda: leaky(events={"far": "v > 1"}), "leaky.event 'far' 'v > 1'"),
    "an operation": (
        lambda: leaky(operations=[models.Operation(code="q = v*2\nv += q*q")]),
        "leaky.operations[0] 'v += q * q' V",
    ),
    "a refractory expression": (lambda: leaky(refractory="v"), "leaky.refractory 'v' s condition"),
    "what is transmitted": (
        lambda: joined(transmit="v_post += w", on={"b": VOLTS}),
        "projections['p'].transmit 'v_post += w' V",
    ),
    "a bound with a unit": (
        lambda: rule("w = clip(w, 0, wmax*mV)", parameters={"wmax": 1.0}),
        "own.statements[0] clip wmax mV",
    ),
    "a trace with a unit": (
        lambda: rule("w += x_pre*mV", pre_traces=(Trace(name="x", tau=5 * ms),)),
        "own.statements[0] 'w += x_pre * mV'",
    ),
    "a rule that reads a potential": (
        lambda: joined(on={"b": VOLTS}, transmit="", rule=rule("w += v_post")),
        "projections['p'].rule.statements[0] 'w += v_post' V",
    ),
    "equations of synapses": (
        lambda: joined(equations="dx/dt = -x : 1"),
        "projections['p'].equations Hz dx/dt '-x' time constant",
    ),
    "a companion": (
        lambda: joined(
            on={"b": VOLTS},
            transmit="",
            rule=rule("w += 1", post_companion=Companion(equations="q = v : 1")),
        ),
        "populations['b'].equations plain numbers p_q 'v' V",
    ),
    "a sum": (
        lambda: joined(transmit="", weights=None, equations="v_post = 2*mV : volt (summed)"),
        "projections['p'].equations v_post (summed) V plain numbers",
    ),
    "a sum of nothing": (
        lambda: joined(transmit="", weights=None, equations="q_post = 2 : 1 (summed)"),
        "projections['p'].equations q_post (summed)",
    ),
    "a link": (
        lambda: linked("protocol.t_sample", "volt"),
        "links['z'] 'protocol.t_sample' in s V",
    ),
}

METHODS = {
    "unknown": (lambda: leaky(method="rk5"), "leaky.method 'exact', 'rk5'"),
    "none in a rule": (lambda: rule(method=None), "PlasticityRule.method text None"),
    "not linear": (
        lambda: leaky(equations="dv/dt = (E - v)*v/E/tau : volt"),
        "leaky.method integrate v 'exact' linear 'euler'",
    ),
    "in a network": (
        lambda: network(
            b=attrs.evolve(leaky(), equations="dv/dt = (E - v)*v/E/tau : volt"),
        ),
        "leaky.method integrate v 'exact'",
    ),
    "time": (
        lambda: leaky(equations="dv/dt = (E*sin(t/tau) - v)/tau : volt"),
        "leaky.method 'exact' linear",
    ),
    "noise": (
        lambda: leaky(
            equations="dv/dt = (E - v)/tau + E*xi*tau**-0.5 : volt", method="exponential_euler"
        ),
        "leaky.method 'exponential_euler' xi 'euler'",
    ),
    "multiplicative noise": (
        lambda: leaky(equations="dv/dt = (E - v)/tau + v*xi*tau**-0.5 : volt", method="euler"),
        "leaky.method 'euler' additive 'heun'",
    ),
    "of a rule": (
        lambda: rule(equations="dq/dt = -q*q/tau : 1", parameters={"tau": 5 * ms}, method="exact"),
        "own.method integrate q 'exact' linear",
    ),
}

EFFECTS = {  # W15
    "an input that nothing reads": (
        lambda: network(inputs={"image": Input(features=3)}),
        "net.inputs['image'] read by a population Population(drives=",
    ),
    "an optional input that nothing reads": (
        lambda: network(inputs={"gift": Input(features=1, optional=True)}),
        "net.inputs['gift'] read by a population",
    ),
    "a parameter of a projection": (
        lambda: joined(transmit="v_post += w*gain", parameters={"gain": 1.0, "gian": 2.0}),
        "projections['p'].parameters used gain 'gian' no effect",
    ),
    "a parameter of a rule": (
        lambda: joined(rule=rule("w += eta", parameters={"eta": 0.1, "tau": 5 * ms})),
        "projections['p'].rule.parameters used eta 'tau'",
    ),
    "a parameter of a neuron": (
        lambda: network(b=attrs.evolve(PLAIN, parameters={"tau": 5 * ms})),
        "populations['b'].model.parameters used 'tau'",
    ),
    "a parameter of a companion": (
        lambda: joined(
            rule=rule(
                "w += q_post", post_companion=Companion(equations="q : 1", parameters={"k": 1.0})
            )
        ),
        "populations['b'].model.parameters used 'p_k'",
    ),
    "a parameter of a synapse": (
        lambda: network(
            b=models.lif().with_synapses(
                exc=attrs.evolve(
                    models.exponential_current(),
                    parameters={**models.exponential_current().parameters, "g": 1.0},
                )
            )
        ),
        "populations['b'].model.receptors['exc'].parameters used 'g_exc'",
    ),
}

SIZES = {
    "initial values": (
        lambda: network(b=attrs.evolve(PLAIN, initial={"v": np.ones(4)})),
        "populations['b'].model.initial['v'] 3 (4,)",
    ),
    "initial values of a group": (
        lambda: attrs.evolve(PLAIN, initial={"v": np.ones(4)}).group(3),
        "plain.initial['v'] 3 (4,)",
    ),
    "a link": (
        lambda: linked("c.v", c=Population(model=PLAIN, n=2)),
        "populations['b'].links['z'] 3 'c.v' 2 neurons",
    ),
    "a link to nothing": (lambda: linked("a.v"), "populations['b'].links['z'] 'v'"),
    "a link that is missing": (
        lambda: network(b=models.neuron(name="own", equations="z : 1 (linked)")),
        "populations['b'].links['z'] population.variable None",
    ),
    "a link that is not declared": (
        lambda: models.neuron(name="own", equations="z : 1", links={"z": "c.v"}),
        "own.links (linked) 'z'",
    ),
    "an initial value of an expression": (
        lambda: models.neuron(name="own", equations="v : 1\nu = 2*v : 1", initial={"u": 1}),
        "own.initial expressions 'u'",
    ),
    "more synapses than numbers": (
        lambda: network({"p": Projection(pre="a", post="b", weights=1.0)}, sizes=(50_000, 50_000)),
        "projections['p'].pairs 2,147,483,647 2,500,000,000 FixedInDegree",
    ),
    "random pairs": (
        lambda: network(
            {"p": Projection(pre="a", post="b", weights=1.0, pairs=FixedProbability(p=0.9))},
            sizes=(100_000, 100_000),
        ),
        "projections['p'].pairs 2,147,483,647 9,000,000,000",
    ),
    "two sums of one variable": (
        lambda: network(
            {key: Projection(pre="b", post="b", synapse="g", weights=1.0) for key in "pq"},
            b=models.lif().with_synapses(g=models.gap_junction()),
        ),
        "projections['q'].equations I_g_post (summed) projections['p'] with_synapses",
    ),
    "a delay between steps": (
        lambda: joined(delay=0.7 * ms),
        "projections['p'].delay multiple (0.5 ms) 0.7 ms nearest 0.5 1.",
    ),
    "one delay between steps": (
        lambda: joined(delay=[0.5, 0.5, 0.5, 0.6, 0.5, 0.5] * ms),
        "projections['p'].delay multiple 0.6 ms nearest",
    ),
    "uniform backwards": (lambda: Uniform(low=1, high=0), "Uniform.high >= low 1 0"),
    "uniform of two units": (lambda: Uniform(low=1 * mV, high=2), "Uniform.high V 2"),
    "a negative deviation": (lambda: models.Normal(mean=0, sd=-1), "Normal.sd >= 0 -1"),
    "a reset without spikes": (
        lambda: models.neuron(name="own", equations="v : 1", reset="v = 0"),
        "own.reset threshold 'v = 0'",
    ),
    "a period without spikes": (
        lambda: models.neuron(name="own", equations="v : 1", refractory=1 * ms),
        "own.refractory threshold 1. ms",
    ),
    "a negative period": (lambda: leaky(refractory=-1 * ms), "leaky.refractory >= 0 s -1. ms"),
    "a negative period by name": (
        lambda: leaky(refractory="rest", parameters={**FALL, "rest": -1 * ms}),
        "leaky.refractory >= 0 s -1. ms",
    ),
    "a word of C++": (lambda: models.neuron(equations="double : 1"), "'double' C++"),
    "Greek": (
        lambda: models.neuron(equations="v : 1", parameters={"\u03c4": 1 * ms}),
        "ASCII \u03c4",
    ),
    "a modulator that is an expression": (
        lambda: joined(
            rule=rule("w += r_post", modulators={"r": "c.u"}),
            on={"c": models.neuron(name="c", equations="v : 1\nu = 2*v : 1")},
        ),
        "projections['p'].rule.modulators['r'] holds value 'c.u'",
    ),
}


def group():
    """A group of Brian2, which is no population."""
    made = NeuronGroup(1, "v : 1")
    made.add_to_magic_network = False
    return made


CLASSES = {
    "a group as a population": (
        lambda: attrs.evolve(network(), populations={"b": group()}),
        "NetworkModel.populations['b'] Population NeuronGroup",
    ),
    "a model as a population": (
        lambda: attrs.evolve(network(), populations={"b": PLAIN}),
        "NetworkModel.populations['b'] Population NeuronModel",
    ),
    "a group as a model": (lambda: Population(model=group(), n=1), "Population.model NeuronModel"),
    "a word as a model": (lambda: Population(model="lif", n=1), "Population.model 'lif'"),
    "a function as a model": (
        lambda: Population(model=models.lif, n=1),
        "Population.model lif(...)",
    ),
    "a population as a projection": (
        lambda: attrs.evolve(network(), projections={"p": Population(model=PLAIN, n=1)}),
        "NetworkModel.projections['p'] Projection Population",
    ),
    "a duration as a presentation": (
        lambda: attrs.evolve(network(), presentation=20 * ms),
        "NetworkModel.presentation Presentation ms",
    ),
    "a list of populations": (
        lambda: attrs.evolve(network(), populations=[]),
        "NetworkModel.populations dict []",
    ),
    "text as statements": (
        lambda: PlasticityRule(name="own", statements="w += 1"),
        "PlasticityRule.statements tuple 'w += 1'",
    ),
    "a word among statements": (
        lambda: PlasticityRule(name="own", statements=["w += 1"]),
        "PlasticityRule.statements[0] Statements 'w += 1'",
    ),
    "a word as an operation": (
        lambda: models.neuron(equations="v : 1", operations=["v = 1"]),
        "operations[0] Operation 'v = 1'",
    ),
    "an array as a parameter": (
        lambda: joined(parameters={"q": np.ones(3)}),
        "parameters['q'] number (3,)",
    ),
}

TABLES = {
    "units": UNITS,
    "methods": METHODS,
    "effects": EFFECTS,
    "sizes": SIZES,
    "classes": CLASSES,
    "names": NAMES,
    "weights": WEIGHTS,
    "code": CODES,
    "parts": PARTS,
    "receptors": RECEPTORS,
    "reset": RESETS,
}


def test_there_are_many_rows():
    assert sum(map(len, TABLES.values())) >= 100


def rows():
    for area, table in TABLES.items():
        for name, row in table.items():
            yield pytest.param(*row, id=f"{area}: {name}")


@pytest.mark.parametrize(("declare", "words"), rows())
def test_it_is_refused_in_words(declare, words):
    with pytest.raises(ParameterError) as caught:
        declare()
    text = str(caught.value)
    assert all(word in text for word in words.split()), text


def test_a_matrix_of_weights_is_read_as_pre_by_post():
    weights = np.arange(6.0).reshape(2, 3)
    end = state_after(joined(weights=weights))
    # Both sources fire twice.
    np.testing.assert_array_equal(end["b.v"], 2 * weights.sum(axis=0))


def test_a_current_density_makes_a_squid_axon_fire():
    synapse = models.exponential_current(I_max=30 * uA / cm**2, tau_syn=5 * ms)
    cell = models.hodgkin_huxley().with_synapses(exc=synapse)
    projection = Projection(
        pre="a", post="b", synapse="exc", weights=[0.0, 1.0], pairs=([0, 0], [0, 1])
    )
    declared = network({"p": projection}, b=cell, dt=0.05 * ms, sizes=(1, 2))
    recording, _ = compile(declared, "runtime", per_sample=("b.count",)).run({"n_samples": 1})
    silent, firing = recording.per_sample["b.count"].ravel()
    assert silent == 0
    assert firing > 0


@pytest.mark.parametrize("pairs", ["all", "all_but_self", FixedProbability(p=0.5)])
def test_synapses_are_counted(pairs):
    declared = joined(pairs=pairs)
    assert declared.n_synapses("p") == len(declared.indices("p")[0]) > 0


def test_combined_rules_learn_before_transmission_where_one_of_them_does():
    def end(learned):
        declared = joined(rule=learned, weights=1.0)
        return state_after(declared, learn=True)["b.v"]

    early = PlasticityRule(
        name="early", statements=(Statements(side="pre", code="w = 5", order=-3),)
    )
    late = PlasticityRule(name="late", statements=(Statements(side="pre", code="w = 7", order=2),))
    np.testing.assert_array_equal(end(early), 4 * 5.0)
    np.testing.assert_array_equal(end(plasticity.combined(late, early)), 4 * 5.0)
    both = plasticity.combined(early, late, rule("w += 0"))
    assert [part.order < -1 for part in both.statements] == [True, False, False]


def test_sizes_may_be_integers_of_numpy():
    image = Input(features=np.int64(3))
    cells = Population(model=CELL, n=np.int32(3), drives={"I_ext": "image"})
    declared = network(inputs={"image": image}, b=cells)
    assert (
        declared.fingerprint
        == network(inputs={"image": Input(features=3)}, b=attrs.evolve(cells, n=3)).fingerprint
    )


def test_a_neuron_with_a_schedule_receives_synapses():
    cell = models.neuron(
        name="own",
        equations="dv/dt = (I - v)/tau : 1\nI : 1",
        threshold="v > th",
        reset="v = 0",
        parameters={"tau": 5 * ms, "th": Schedule(start=1.0, stop=0.1)},
    )
    assert "I_exc" in cell.with_synapses(exc=models.exponential_current(I_max=1.0)).variables


def test_the_method_fits_what_the_synapses_do():
    hidden = SynapseModel(
        name="own",
        companion=Companion(
            equations="dg/dt = -g/tau_g : siemens\nI = g*(E - v) : amp",
            parameters={"tau_g": 5 * ms, "E": 0 * mV},
        ),
        current="I",
        transmit="g_post += w*g_max",
        parameters={"g_max": 1 * nS},
    )
    once = models.lif().with_synapses(a=CURRENT)
    assert once.method == "exact"
    assert once.with_synapses(b=CURRENT).method == "exponential_euler"
    assert models.lif().with_synapses(a=hidden).method == "exponential_euler"
    assert hidden.depends_on_v


class Crossed(Pattern):
    """A pattern of a user's own."""

    def pairs(self, n_pre, n_post):
        n = min(n_pre, n_post)
        return np.arange(n), np.arange(n)[::-1]


def test_a_pattern_of_ones_own_is_written_down_as_pairs():
    declared = joined(pairs=Crossed(), weights=[1.0, 2.0])
    same = from_data(json.loads(json.dumps(to_data(declared))))
    assert same.fingerprint == declared.fingerprint
    np.testing.assert_array_equal(state_after(same)["b.v"], [2 * 2.0, 2 * 1.0, 0.0])


def test_equations_of_brian2_keep_their_flags_types_and_units():
    given = Equations("""dv/dt = (E - v)/tau : volt (unless refractory)
        open : boolean
        k : integer
        g : siemens/meter**2 (constant)
        I = g*v : amp/meter**2""")
    cell = models.neuron(
        name="own", equations=given, method=None, parameters=FALL, threshold="v > 1*mV", reset=""
    )
    assert cell.method == "exact"
    back = Equations(cell.equations)
    assert {name: (back[name].dim, back[name].var_type, back[name].flags) for name in back} == {
        name: (given[name].dim, given[name].var_type, given[name].flags) for name in given
    }
    assert cell.group(1).v.dim is volt.dim


@pytest.mark.parametrize(
    ("right", "method"),
    [
        ("(E - v)/tau", "exact"),
        ("(E - v)*v/E/tau", "euler"),
        ("(E - v)/tau + E*xi*tau**-0.5", "euler"),
        ("(E - v)/tau + v*xi*tau**-0.5", "heun"),
    ],
)
def test_without_a_method_it_is_the_one_that_brian2_chooses(right, method):
    assert leaky(equations=f"dv/dt = {right} : volt", method=None).method == method


def test_what_fits_is_not_refused():
    same = Population(model=PLAIN, n=3)
    declared = linked("c.v", c=same)
    assert declared.populations["b"].model.links == {"z": "c.v"}
    assert joined(delay=[0.5, 1.0, 1.5, 0.0, 0.5, 0.5] * ms).projections["p"].delayed
    assert leaky(refractory="v > 1*mV or t - lastspike < 2*ms").refractory
    assert leaky(equations="dv/dt = clip(E - v, -1*mV, 1*mV)/tau : volt", method="euler")


@pytest.mark.parametrize("names", ["theta", 3, ("v", 3)])
def test_what_begins_anew_is_named_in_tuples(names) -> None:
    """A text was read letter by letter."""
    with pytest.raises(ParameterError, match=r"Presentation\.reset\['exc'\]"):
        Presentation(duration=20 * ms, reset={"exc": names})
