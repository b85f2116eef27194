"""Published networks beside plain Brian2: the same spikes and the same weights.

Each paper's equations are written twice, as a declaration and as one would write them for Brian2,
with given connections, initial values and input spikes, at a small size. All declarations are
populations of one network, so that each device builds once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import pytest
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    Synapses,
    ms,
    mV,
    nA,
    nS,
    pA,
    pF,
)

from biosnn import encoding, models, plasticity, simulation
from biosnn.models import NeuronModel
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from biosnn.plasticity import PlasticityRule

pytestmark = pytest.mark.usefixtures("fresh_brian2")

DT, DURATION = 0.1 * ms, 200 * ms
RNG = np.random.default_rng(20)


def pairs(n_pre: int, n_post: int, p: float, offset: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random pairs without self-connections, presynaptic indices shifted."""
    i, j = np.nonzero(RNG.random((n_pre, n_post)) < p)
    i += offset
    return i[i != j], j[i != j]


@attrs.frozen(kw_only=True)
class Example:
    """A published network twice: as a declaration and as plain Brian2 objects.

    ``plain`` returns the objects, the group that fires, and a function that gives the values to
    compare with states of the declaration.
    """

    populations: dict[str, Population]
    projections: dict[str, Projection] = attrs.Factory(dict)
    inputs: dict[str, Input] = attrs.Factory(dict)
    samples: dict[str, Any] = attrs.Factory(dict)
    start: dict[str, np.ndarray] = attrs.Factory(dict)
    plain: Callable[[], tuple[list[Any], Any, Callable[[], dict[str, Any]]]]
    output: str
    least: int = 20


# --- Song, Miller & Abbott 2000, Nat. Neurosci. 3:919, doi:10.1038/78829

N_SONG = 40
SONG_W = RNG.uniform(0, 0.12, N_SONG)
SONG_STEP, SONG_UNIT = np.nonzero(RNG.random((1950, N_SONG)) < 0.005)
SONG = {
    "taum": 10 * ms, "taue": 5 * ms, "El": -74 * mV, "Ee": 0 * mV, "vt": -54 * mV, "vr": -60 * mV,
}  # fmt: skip
SONG_EQUATIONS = """
dv/dt = (ge*(Ee - v) + El - v)/taum : volt
dge/dt = -ge/taue : 1
"""
GMAX, TAU_STDP = 0.12, 20 * ms
A_PRE, A_POST = 0.02 * GMAX, 0.021 * GMAX


def plain_song() -> Any:
    source = SpikeGeneratorGroup(N_SONG, SONG_UNIT, SONG_STEP * DT, dt=DT)
    cell = NeuronGroup(
        1, SONG_EQUATIONS, threshold="v > vt", reset="v = vr", method="euler", namespace=SONG, dt=DT
    )
    cell.v = SONG["vr"]
    synapses = Synapses(
        source,
        cell,
        """w : 1
        dApre/dt = -Apre/tau : 1 (event-driven)
        dApost/dt = -Apost/tau : 1 (event-driven)""",
        on_pre="ge_post += w\nApre += 1\nw = clip(w - down*Apost, 0, gmax)",
        on_post="Apost += 1\nw = clip(w + up*Apre, 0, gmax)",
        namespace={"tau": TAU_STDP, "gmax": GMAX, "up": A_PRE, "down": A_POST},
        dt=DT,
    )
    synapses.connect()
    synapses.w = SONG_W
    return [source, cell, synapses], cell, lambda: {"song_syn.w": synapses.w, "song.v": cell.v}


SONG_EXAMPLE = Example(
    inputs={"song_events": Input(features=N_SONG, kind="events")},
    samples={"song_events": (np.zeros_like(SONG_UNIT), SONG_UNIT, SONG_STEP * 1e-4)},
    populations={
        "song_in": Population(
            model=encoding.address_events(), n=N_SONG, drives={"x": "song_events"}
        ),
        "song": Population(
            model=NeuronModel(
                name="song",
                equations=SONG_EQUATIONS,
                threshold="v > vt",
                reset="v = vr",
                method="euler",
                parameters=SONG,
                initial={"v": "vr"},
            ),
            n=1,
        ),
    },
    projections={
        "song_syn": Projection(
            pre="song_in",
            post="song",
            transmit="ge_post += w",
            weights=SONG_W,
            rule=plasticity.pair_stdp(
                tau_plus=TAU_STDP, tau_minus=TAU_STDP, A_plus=A_PRE, A_minus=A_POST, w_max=GMAX
            ),
        )
    },
    plain=plain_song,
    output="song",
    least=5,
)

# --- Vogels, Sprekeler, Zenke, Clopath & Gerstner 2011, doi:10.1126/science.1211095

N_VOGELS, N_INHIBITORY = 20, 5
VOGELS_V = RNG.uniform(-62, -50, N_VOGELS) * mV
VOGELS_EXC = pairs(N_VOGELS - N_INHIBITORY, N_VOGELS, 0.3)
VOGELS_INH = pairs(N_INHIBITORY, N_VOGELS - N_INHIBITORY, 0.8, offset=N_VOGELS - N_INHIBITORY)
VOGELS = {
    "memc": 200 * pF, "bgcurrent": 200 * pA, "gl": 10 * nS, "el": -60 * mV, "er": -80 * mV,
    "vt": -50 * mV, "tau_ampa": 5 * ms, "tau_gaba": 10 * ms,
}  # fmt: skip
VOGELS_EQUATIONS = """
dv/dt = (-gl*(v - el) - (g_ampa*v + g_gaba*(v - er)) + bgcurrent)/memc : volt (unless refractory)
dg_ampa/dt = -g_ampa/tau_ampa : siemens
dg_gaba/dt = -g_gaba/tau_gaba : siemens
"""
ETA, RATE = 0.05, 5 * Hz


def plain_vogels() -> Any:
    cells = NeuronGroup(
        N_VOGELS,
        VOGELS_EQUATIONS,
        threshold="v > vt",
        reset="v = el",
        refractory=5 * ms,
        method="euler",
        namespace=VOGELS,
        dt=DT,
    )
    cells.v = VOGELS_V
    exc = Synapses(cells, cells, on_pre="g_ampa += 3*nS", dt=DT)
    exc.connect(i=VOGELS_EXC[0], j=VOGELS_EXC[1])
    inh = Synapses(
        cells,
        cells,
        """w : 1
        dApre/dt = -Apre/tau : 1 (event-driven)
        dApost/dt = -Apost/tau : 1 (event-driven)""",
        on_pre="g_gaba += w*nS\nApre += 1\nw = clip(w + (Apost - alpha)*eta, 0, 100)",
        on_post="Apost += 1\nw = clip(w + Apre*eta, 0, 100)",
        namespace={"tau": 20 * ms, "eta": ETA, "alpha": float(2 * RATE * 20 * ms)},
        dt=DT,
    )
    inh.connect(i=VOGELS_INH[0], j=VOGELS_INH[1])
    inh.w = 1.0
    return [cells, exc, inh], cells, lambda: {"vogels_inh.w": inh.w, "vogels.v": cells.v}


VOGELS_EXAMPLE = Example(
    populations={
        "vogels": Population(
            model=NeuronModel(
                name="vogels",
                equations=VOGELS_EQUATIONS,
                threshold="v > vt",
                reset="v = el",
                refractory=5 * ms,
                method="euler",
                parameters=VOGELS,
                initial={"v": VOGELS_V},
            ),
            n=N_VOGELS,
        )
    },
    projections={
        "vogels_exc": Projection(
            pre="vogels", post="vogels", transmit="g_ampa_post += 3*nS", pairs=VOGELS_EXC
        ),
        "vogels_inh": Projection(
            pre="vogels",
            post="vogels",
            transmit="g_gaba_post += w*nS",
            weights=1.0,
            rule=plasticity.inhibitory_stdp(
                tau_stdp=20 * ms, target_rate=RATE, eta=ETA, w_max=100.0
            ),
            pairs=VOGELS_INH,
        ),
    },
    plain=plain_vogels,
    output="vogels",
)

# --- Stimberg, Goodman, Brette & De Pittà 2019, doi:10.1007/978-3-030-00817-8_18, example 1: COBA
#     with the short-term plasticity of Tsodyks & Markram

N_COBA, N_COBA_EXC = 30, 24
COBA_V = RNG.uniform(-60, -50, N_COBA) * mV
COBA_EXC = pairs(N_COBA_EXC, N_COBA, 0.4)
COBA_INH = pairs(N_COBA - N_COBA_EXC, N_COBA, 0.6, offset=N_COBA_EXC)
COBA = {
    "E_l": -60 * mV, "g_l": 9.99 * nS, "C_m": 198 * pF, "E_e": 0 * mV, "E_i": -80 * mV,
    "tau_e": 5 * ms, "tau_i": 10 * ms, "I_ex": 150 * pA, "V_th": -50 * mV,
}  # fmt: skip
COBA_EQUATIONS = """
dv/dt = (g_l*(E_l - v) + g_e*(E_e - v) + g_i*(E_i - v) + I_ex)/C_m : volt (unless refractory)
dg_e/dt = -g_e/tau_e : siemens
dg_i/dt = -g_i/tau_i : siemens
"""
COBA_SPIKE = "u_S += U_0*(1 - u_S)\nr_S = u_S*x_S\nx_S -= r_S"
U_0, TAU_REC, TAU_FACIL = 0.6, 500 * ms, 300 * ms


def plain_coba() -> Any:
    cells = NeuronGroup(
        N_COBA,
        COBA_EQUATIONS,
        threshold="v > V_th",
        reset="v = E_l",
        refractory=5 * ms,
        method="euler",
        namespace=COBA,
        dt=DT,
    )
    cells.v = COBA_V
    made = []
    for target, strength, (i, j) in (("g_e", 2 * nS, COBA_EXC), ("g_i", 5 * nS, COBA_INH)):
        synapses = Synapses(
            cells,
            cells,
            """du_S/dt = -u_S/tau_facil : 1 (event-driven)
            dx_S/dt = (1 - x_S)/tau_rec : 1 (event-driven)""",
            on_pre=f"{COBA_SPIKE}\n{target}_post += strength*r_S",
            namespace={
                "U_0": U_0, "tau_rec": TAU_REC, "tau_facil": TAU_FACIL, "strength": strength,
            },
            dt=DT,
        )  # fmt: skip
        synapses.connect(i=i, j=j)
        synapses.x_S = 1
        made.append(synapses)
    return [cells, *made], cells, lambda: {"coba.v": cells.v, "coba.g_e": cells.g_e}


COBA_EXAMPLE = Example(
    populations={
        "coba": Population(
            model=NeuronModel(
                name="coba",
                equations=COBA_EQUATIONS,
                threshold="v > V_th",
                reset="v = E_l",
                refractory=5 * ms,
                method="euler",
                parameters=COBA,
                initial={"v": COBA_V},
            ),
            n=N_COBA,
        )
    },
    projections={
        f"coba_{name}": Projection(
            pre="coba",
            post="coba",
            transmit=f"g_{name}_post += strength*w",
            parameters={"strength": strength},
            weights=1.0,
            short_term=models.tsodyks_markram(U=U_0, tau_rec=TAU_REC, tau_facil=TAU_FACIL),
            pairs=chosen,
        )
        for name, strength, chosen in (("e", 2 * nS, COBA_EXC), ("i", 5 * nS, COBA_INH))
    },
    plain=plain_coba,
    output="coba",
)

# --- Tetzlaff, Dasgupta, Kulvicius & Wörgötter 2015, Sci. Rep. 5:12866, doi:10.1038/srep12866:
#     rates with Hebbian plasticity and synaptic scaling

N_TETZLAFF = 8
TETZLAFF_PAIRS = pairs(N_TETZLAFF, N_TETZLAFF, 0.7)
TETZLAFF_INPUT = RNG.uniform(0, 1.5, N_TETZLAFF)
TETZLAFF = {"tau": 20 * ms, "R": 0.3, "alpha": 1.0, "beta": 5.0, "epsilon": 1.0}
TETZLAFF_EQUATIONS = """
du/dt = (-u + R*I + stimulus)/tau : 1
F = alpha/(1 + exp(beta*(epsilon - u))) : 1
I : 1
stimulus : 1 (constant)
"""
LEARNING = {"mu": 20 * Hz, "gamma": 0.5, "F_T": 0.1}
LEARNING_EQUATION = "dw/dt = mu*(F_pre*F_post + gamma*(F_T - F_post)*w**2) : 1 (clock-driven)"


def plain_tetzlaff() -> Any:
    cells = NeuronGroup(N_TETZLAFF, TETZLAFF_EQUATIONS, method="euler", namespace=TETZLAFF, dt=DT)
    cells.stimulus = TETZLAFF_INPUT
    synapses = Synapses(
        cells,
        cells,
        f"{LEARNING_EQUATION}\nI_post = w*F_pre : 1 (summed)",
        method="euler",
        namespace={**TETZLAFF, **LEARNING},  # Brian2 looks for those of F here
        dt=DT,
    )
    synapses.connect(i=TETZLAFF_PAIRS[0], j=TETZLAFF_PAIRS[1])
    synapses.w = 0.5
    return [cells, synapses], None, lambda: {"tetzlaff.u": cells.u, "tetzlaff_syn.w": synapses.w}


TETZLAFF_EXAMPLE = Example(
    populations={
        "tetzlaff": Population(
            model=NeuronModel(
                name="tetzlaff",
                equations=TETZLAFF_EQUATIONS,
                method="euler",
                parameters=TETZLAFF,
                initial={"stimulus": TETZLAFF_INPUT},
            ),
            n=N_TETZLAFF,
        )
    },
    projections={
        "tetzlaff_syn": Projection(
            pre="tetzlaff",
            post="tetzlaff",
            equations="I_post = w*F_pre : 1 (summed)",
            weights=0.5,
            rule=PlasticityRule(
                name="scaling",
                equations=LEARNING_EQUATION,
                method="euler",
                parameters=LEARNING,
                statements=(),
            ),
            pairs=TETZLAFF_PAIRS,
        )
    },
    plain=plain_tetzlaff,
    output="",
)

# --- Rothman & Manis 2003, J. Neurophysiol. 89:3097, doi:10.1152/jn.00127.2002: type I-t, whose
#     currents all differ from zero

ROTHMAN = {
    "C": 12 * pF, "E_h": -43 * mV, "E_K": -70 * mV, "E_L": -65 * mV, "E_Na": 55 * mV,
    "nf": 0.85, "zss": 0.5, "g_L": 2 * nS, "g_Na": 1000 * nS, "g_KHT": 80 * nS, "g_KLT": 0.5 * nS,
    "g_KA": 65 * nS, "g_h": 0.5 * nS,
}  # fmt: skip
ROTHMAN_EQUATIONS = """
dv/dt = (i_L + i_Na + i_KHT + i_KLT + i_KA + i_h + I)/C : volt
I : amp (constant)
vu = v/mV : 1
i_L = g_L*(E_L - v) : amp
i_Na = g_Na*m**3*h*(E_Na - v) : amp
dm/dt = (minf - m)/mtau : 1
dh/dt = (hinf - h)/htau : 1
minf = 1/(1 + exp(-(vu + 38)/7)) : 1
hinf = 1/(1 + exp((vu + 65)/6)) : 1
mtau = (10/(5*exp((vu + 60)/18) + 36*exp(-(vu + 60)/25)) + 0.04)*ms : second
htau = (100/(7*exp((vu + 60)/11) + 10*exp(-(vu + 60)/25)) + 0.6)*ms : second
i_h = g_h*r*(E_h - v) : amp
dr/dt = (rinf - r)/rtau : 1
rinf = 1/(1 + exp((vu + 76)/7)) : 1
rtau = (100000/(237*exp((vu + 60)/12) + 17*exp(-(vu + 60)/14)) + 25)*ms : second
i_KHT = g_KHT*(nf*n**2 + (1 - nf)*p)*(E_K - v) : amp
dn/dt = (ninf - n)/ntau : 1
dp/dt = (pinf - p)/ptau : 1
ninf = (1 + exp(-(vu + 15)/5))**-0.5 : 1
pinf = 1/(1 + exp(-(vu + 23)/6)) : 1
ntau = (100/(11*exp((vu + 60)/24) + 21*exp(-(vu + 60)/23)) + 0.7)*ms : second
ptau = (100/(4*exp((vu + 60)/32) + 5*exp(-(vu + 60)/22)) + 5)*ms : second
i_KLT = g_KLT*w**4*z*(E_K - v) : amp
dw/dt = (winf - w)/wtau : 1
dz/dt = (zinf - z)/ztau : 1
winf = (1/(1 + exp(-(vu + 48)/6)))**0.25 : 1
zinf = zss + (1 - zss)/(1 + exp((vu + 71)/10)) : 1
wtau = (100/(6*exp((vu + 60)/6) + 16*exp(-(vu + 60)/45)) + 1.5)*ms : second
ztau = (1000/(exp((vu + 60)/20) + exp(-(vu + 60)/8)) + 50)*ms : second
i_KA = g_KA*a**4*b*c*(E_K - v) : amp
da/dt = (ainf - a)/atau : 1
db/dt = (binf - b)/btau : 1
dc/dt = (binf - c)/ctau : 1
ainf = (1/(1 + exp(-(vu + 31)/6)))**0.25 : 1
binf = 1/(1 + exp((vu + 66)/7))**0.5 : 1
atau = (100/(7*exp((vu + 60)/14) + 29*exp(-(vu + 60)/24)) + 0.1)*ms : second
btau = (1000/(14*exp((vu + 60)/27) + 29*exp(-(vu + 60)/24)) + 1)*ms : second
ctau = (90/(1 + exp((-66 - vu)/17)) + 10)*ms : second
"""
ROTHMAN_I = np.array([0.15, 0.25, 0.35]) * nA


def plain_rothman() -> Any:
    cells = NeuronGroup(
        3,
        ROTHMAN_EQUATIONS,
        threshold="v > 0*mV",
        reset="",
        refractory="v > 0*mV",
        method="exponential_euler",
        namespace=ROTHMAN,
        dt=DT,
    )
    cells.v, cells.I = -65 * mV, ROTHMAN_I
    return [cells], cells, lambda: {"rothman.v": cells.v, "rothman.r": cells.r}


ROTHMAN_EXAMPLE = Example(
    populations={
        "rothman": Population(
            model=NeuronModel(
                name="rothman",
                equations=ROTHMAN_EQUATIONS,
                threshold="v > 0*mV",
                reset="",
                refractory="v > 0*mV",
                method="exponential_euler",
                parameters=ROTHMAN,
                initial={"v": -65 * mV, "I": ROTHMAN_I},
            ),
            n=3,
        )
    },
    plain=plain_rothman,
    output="rothman",
)

# --- Tsodyks, Uziel & Markram 2000, J. Neurosci. 20:RC50, doi:10.1523/JNEUROSCI.20-01-j0003.2000

N_TUM, N_TUM_EXC = 20, 16
TUM_EXC = pairs(N_TUM_EXC, N_TUM, 0.3)
TUM_INH = pairs(N_TUM - N_TUM_EXC, N_TUM, 0.5, offset=N_TUM_EXC)
TUM_V = RNG.uniform(13.5, 15, N_TUM) * mV
TUM_I = np.linspace(14.9, 15.4, N_TUM) * mV
TUM = {"tau_mem": 30 * ms}
TUM_EQUATIONS = """
dv/dt = (I_exc + I_inh + I_b - v)/tau_mem : volt (unless refractory)
I_exc : volt
I_inh : volt
I_b : volt (constant)
"""
#: The share z that recovers is what x and y leave.
TUM_SYNAPSE = """
dx/dt = (1 - x - y)/tau_rec : 1 (clock-driven)
dy/dt = -y/tau_I : 1 (clock-driven)
du/dt = -u/tau_facil : 1 (clock-driven)
"""
TUM_SPIKE = "u += U*(1 - u)\ny += u*x\nx -= u*x"
TUM_KINDS = {
    "exc": (TUM_EXC, 7.0, {"U": 0.5, "tau_rec": 800 * ms, "tau_facil": 1 * ms}),
    "inh": (TUM_INH, -7.0, {"U": 0.04, "tau_rec": 100 * ms, "tau_facil": 1000 * ms}),
}


def plain_tum() -> Any:
    cells = NeuronGroup(
        N_TUM,
        TUM_EQUATIONS,
        threshold="v > 15*mV",
        reset="v = 13.5*mV",
        refractory=3 * ms,
        method="exact",
        namespace=TUM,
        dt=DT,
    )
    cells.v, cells.I_b = TUM_V, TUM_I
    made = {}
    for name, ((i, j), _, parameters) in TUM_KINDS.items():
        made[name] = Synapses(
            cells,
            cells,
            f"{TUM_SYNAPSE}\nA : 1\nI_{name}_post = A*y*mV : volt (summed)",
            on_pre=TUM_SPIKE,
            method="exact",
            namespace={**parameters, "tau_I": 3 * ms},
            dt=DT,
        )
        made[name].connect(i=i, j=j)
        made[name].x = 1
        made[name].A = tum_weights(name)
    exc = made["exc"]
    return [cells, *made.values()], cells, lambda: {"tum.v": cells.v, "tum_exc.x": exc.x}


def tum_weights(name: str) -> np.ndarray:
    (i, j), mean, _ = TUM_KINDS[name]
    return mean * (0.5 + (3 * i + 5 * j) % 10 / 10)


TUM_EXAMPLE = Example(
    populations={
        "tum": Population(
            model=NeuronModel(
                name="tum",
                equations=TUM_EQUATIONS,
                threshold="v > 15*mV",
                reset="v = 13.5*mV",
                refractory=3 * ms,
                method="exact",
                parameters=TUM,
                initial={"v": TUM_V, "I_b": TUM_I},
            ),
            n=N_TUM,
        )
    },
    projections={
        f"tum_{name}": Projection(
            pre="tum",
            post="tum",
            equations=f"{TUM_SYNAPSE}\nI_{name}_post = w*y*mV : volt (summed)",
            transmit=TUM_SPIKE,
            method="exact",
            parameters={**parameters, "tau_I": 3 * ms},
            weights=tum_weights(name),
            pairs=chosen,
        )
        for name, (chosen, _, parameters) in TUM_KINDS.items()
    },
    start={f"tum_{name}.x": np.ones(len(chosen[0])) for name, (chosen, _, _) in TUM_KINDS.items()},
    plain=plain_tum,
    output="tum",
)

EXAMPLES = {
    "Song 2000": SONG_EXAMPLE,
    "Vogels 2011": VOGELS_EXAMPLE,
    "Stimberg 2019": COBA_EXAMPLE,
    "Tetzlaff 2015": TETZLAFF_EXAMPLE,
    "Rothman 2003": ROTHMAN_EXAMPLE,
    "Tsodyks 2000": TUM_EXAMPLE,
}


def network() -> NetworkModel:
    """All declarations side by side."""
    merged: dict[str, dict[str, Any]] = {"inputs": {}, "populations": {}, "projections": {}}
    for example in EXAMPLES.values():
        for field, parts in merged.items():
            parts |= getattr(example, field)
    return NetworkModel(
        name="examples",
        dt=DT,
        **merged,
        presentation=Presentation(duration=DURATION, reset="none"),
        output="coba",
    )


@pytest.fixture(scope="module", params=["runtime", "cpp"])
def shown(request: pytest.FixtureRequest, numpy_target: None) -> Any:
    """Recording and state of all declarations on a device."""
    spiking = [example.output for example in EXAMPLES.values() if example.output]
    options = {"math": "strict"} if request.param == "cpp" else {}
    runnable = simulation.compile(network(), device=request.param, spikes=spiking, **options)
    start = {name: value for e in EXAMPLES.values() for name, value in e.start.items()}
    samples = {name: value for e in EXAMPLES.values() for name, value in e.samples.items()}
    return runnable.run(
        {**samples, "n_samples": 1},
        state=runnable.initial_state().updated(start),
        learn=True,
        progress=False,
    )


@pytest.fixture(scope="module")
def reference(numpy_target: None) -> dict[str, Any]:
    """Spikes (neuron, step) and final values of plain Brian2."""
    found = {}
    for name, example in EXAMPLES.items():
        objects, cells, values = example.plain()
        monitors = [SpikeMonitor(cells)] if cells is not None else []
        Network(*objects, *monitors).run(DURATION, namespace={})
        spikes = [(np.array(m.i), np.round(np.asarray(m.t / DT)).astype(int)) for m in monitors]
        final = {key: np.array(value) for key, value in values().items()}
        found[name] = (spikes[0] if spikes else None, final)
    return found


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_same_as_in_plain_brian2(name: str, shown: Any, reference: dict[str, Any]) -> None:
    recording, state = shown
    example, (spikes, values) = EXAMPLES[name], reference[name]
    if spikes is not None:
        neuron, step = spikes
        assert len(neuron) >= example.least, f"{name} is silent"
        found = recording.spikes[example.output]
        steps = np.round(np.asarray(found.t) / float(DT)).astype(int)
        assert sorted(zip(steps, found.i, strict=True)) == sorted(zip(step, neuron, strict=True))
    for key, value in values.items():
        assert np.ptp(value) > 0 or value.size == 1
        np.testing.assert_allclose(state[key], value, rtol=1e-6, atol=1e-9, err_msg=key)


def test_weights_learn(reference: dict[str, Any]) -> None:
    """Otherwise the comparison would say nothing of learning."""
    changes = {
        "Song 2000": ("song_syn.w", SONG_W),
        "Vogels 2011": ("vogels_inh.w", 1.0),
        "Tetzlaff 2015": ("tetzlaff_syn.w", 0.5),
    }
    for name, (key, before) in changes.items():
        assert np.abs(reference[name][1][key] - before).max() > 0.02 * np.max(before), key
