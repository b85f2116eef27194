"""Ready networks that act on samples and learn from right or wrong."""

from __future__ import annotations

import numpy as np
from brian2 import ms
from numpy.typing import NDArray

from biosnn import encoding, plasticity
from biosnn.errors import ParameterError
from biosnn.models import Event, NeuronModel, Normal, Operation, Schedule, Uniform
from biosnn.networks.connectivity import Convolution
from biosnn.networks.network import NetworkModel
from biosnn.networks.projection import Projection
from biosnn.networks.structure import Input, Population, Presentation
from biosnn.validation import check_value, check_whole

_NAME = "convolutional_reward_network"
#: Time step of a presentation in which the decision cells compete, and how many steps there are.
_DECISION, _STEPS = 3, 5


def _checked_sizes(**sizes: int) -> None:
    """Whole numbers that fit together; the rest is checked by the convolution."""
    least = {"n_features": 2, "n_classes": 2}
    for name, value in sizes.items():
        check_whole(_NAME, name, value, least.get(name, 1))


def _pools(n_features: int, places: int, grid: int) -> NDArray[np.int64]:
    """Number of the pooling cell of every feature cell; both (features, rows, columns)."""
    if grid > places:
        raise ParameterError(_NAME, "grid", grid, f"at most the places of a side ({places})")
    edges = np.linspace(0, places, grid + 1).astype(int)
    part = np.searchsorted(edges, np.arange(places), side="right") - 1
    feature = np.arange(n_features)[:, None, None]
    return ((feature * grid + part[:, None]) * grid + part).ravel()


def _feature_cell() -> NeuronModel:
    """One spike at the place where no other feature fits the input better."""
    return NeuronModel(
        name="FeatureCell",
        equations="v : 1\nbest : 1",
        threshold="v > 0 and v >= best",
        reset="",
        events={"candidate": Event(condition="v > 0", when="before_groups")},
        operations=(
            Operation(code="v = 0\nbest = 0", on="candidate", when="resets", order=1),
            Operation(code="v = 0\nbest = 0", on="onset"),
        ),
    )


def _place() -> NeuronModel:
    """The largest potential among the feature cells of a place, told back to all of them."""
    return NeuronModel(
        name="Place",
        equations="best : 1",
        # Events of one slot are all tested before anything is transmitted in it, and the
        # candidates transmit in the slot before the groups; this one has to come later.
        events={"active": Event(condition="best > 0", when="before_thresholds")},
        operations=(
            Operation(code="best = 0", on="active", when="resets", order=1),
            Operation(code="best = 0", on="onset"),
        ),
    )


def _pooling_cell() -> NeuronModel:
    return NeuronModel(
        name="PoolingCell",
        equations="v : 1",
        threshold="v > 0",
        reset="v = 0",
        operations=(Operation(code="v = 0", on="onset"),),
    )


def _decision_cell() -> NeuronModel:
    """The cell with the largest potential fires when it is time to decide."""
    # In step k of a presentation, counted from 0, `step` is k + 1. Without input there is
    # nothing to decide: the potential is exactly 0 then.
    now = f"step == {_DECISION + 1} and v != 0"
    return NeuronModel(
        name="DecisionCell",
        equations="v : 1\nlargest : 1 (linked)\nstep : integer (linked)",
        threshold=f"{now} and v >= largest",
        reset="",
        events={"candidate": Event(condition=now, when="before_thresholds")},
        operations=(Operation(code="v = 0", on="onset"),),
        links={"largest": "environment.largest", "step": "protocol.step"},
    )


def _environment() -> NeuronModel:
    """Ranks the decision cells, and alone knows the label: it answers a decision by a reward."""
    return NeuronModel(
        name="Environment",
        equations="largest : 1\nlabel : 1\ngift : 1\nreward : 1",
        operations=(Operation(code="largest = -1e30\nreward = gift", on="onset"),),
    )


def _answers() -> dict[str, Projection]:
    """How the decision cells compete, and how the environment answers a decision."""
    right = "int(abs(i + 1 - label_post) < 0.5)"
    return {
        "decision_rank": Projection(
            pre="decision",
            post="environment",
            transmit="largest_post = clip(largest_post, v_pre, 1e30)",
            on_event="candidate",
            when="before_thresholds",
            order=1,
            order_free=True,
        ),
        "decision_answer": Projection(
            pre="decision",
            post="environment",
            transmit=f"reward_post = clip(reward_post + {right}, 0, 1)",
            order_free=True,  # a sum of zeros and ones, and 1 at most
        ),
    }


def convolutional_reward_network(
    n_features: int = 32,
    n_classes: int = 10,
    *,
    side: int = 28,
    kernel: int = 5,
    stride: int = 2,
    grid: int = 4,
    eta: Schedule | float | None = None,
    w_max: float = 0.0032,
) -> NetworkModel:
    """Images to a decision by spikes; the last layer learns from right or wrong.

    At every place of the image the feature cell whose filter fits best fires one spike. A pooling
    cell fires if its feature won anywhere in its region of the image. The decision cells add up
    the weights of the pooling cells that fired; the one with the largest potential fires, which is
    the network's decision. The environment compares it with the label and answers by a reward of
    1 or 0. The cell that decided learns by :func:`biosnn.plasticity.reward_prediction`, its
    potential being the reward that it predicts; no other cell learns, and nothing tells the
    network which answer would have been right.

    A presentation has five steps of 1 ms: pixels, features, pools, decision, reward.

    Parameters
    ----------
    n_features : int
        Features per place, at least 2.
    n_classes : int
        Decision cells; cell ``k`` stands for class ``k``.
    side : int
        Height and width of an image.
    kernel : int
        Height and width of a receptive field.
    stride : int
        Distance between neighbouring places.
    grid : int
        The image is pooled in ``grid`` times ``grid`` regions.
    eta : Schedule or float, optional
        Learning rate of the decision. Default: from 0.6/65 to a twentieth of it, for 65 pooling
        cells that fire per image; a step of ``1/n`` with ``n`` cells would make the prediction
        right at once.
    w_max : float
        Initial weights of the decision are drawn from [0, w_max).

    Returns
    -------
    NetworkModel
        Populations ``inp``, ``s1`` (features), ``place``, ``c1`` (pools), ``environment`` and
        ``decision`` (the output); projections ``inp_s1``, whose random weights are to be
        replaced by learned filters, laid out by its pattern (``pairs.weights(filters)``, shape
        (features, 1, kernel, kernel)), and ``c1_decision``, which learns. Inputs
        ``image``; ``label``, the class plus 1 (0, also where it is left out: no answer is right);
        and ``gift``, a reward that comes whatever the decision is, for controls.

    Raises
    ------
    ParameterError
        If sizes do not fit together, or a number is out of its bounds.

    Notes
    -----
    The arrangement, features that are learned without labels below decision cells that learn from
    reward, is that of Mozafari, Ganjtabesh, Nowzari-Dalini, Thorpe & Masquelier 2019, Pattern
    Recognit. 94:87, doi:10.1016/j.patcog.2019.05.015, who reach 97.2 % on MNIST. Here layers are
    fewer, latencies carry nothing, and the rule that learns from reward is another one.
    """
    _checked_sizes(
        n_features=n_features,
        n_classes=n_classes,
        side=side,
        kernel=kernel,
        stride=stride,
        grid=grid,
    )
    check_value(_NAME, "w_max", w_max, 1.0, "> 0")
    if eta is None:
        eta = Schedule(start=0.6 / 65, stop=0.03 / 65)
    fields = Convolution(
        in_shape=(1, side, side), kernel=kernel, out_channels=n_features, stride=stride
    )
    places = fields.out_shape[1] * fields.out_shape[2]
    cell = np.arange(n_features * places)
    place = cell % places
    pools = _pools(n_features, fields.out_shape[1], grid)
    return NetworkModel(
        name=_NAME,
        dt=1 * ms,
        inputs={
            "image": Input(features=side**2),
            "label": Input(features=1, optional=True),
            "gift": Input(features=1, optional=True),
        },
        populations={
            "inp": Population(model=encoding.direct(), n=side**2, drives={"x": "image"}),
            "s1": Population(model=_feature_cell(), n=len(cell)),
            "place": Population(model=_place(), n=places),
            "c1": Population(model=_pooling_cell(), n=grid**2 * n_features),
            "environment": Population(
                model=_environment(), n=1, drives={"label": "label", "gift": "gift"}
            ),
            "decision": Population(model=_decision_cell(), n=n_classes),
        },
        projections={
            "inp_s1": Projection(
                pre="inp",
                post="s1",
                transmit="v_post += w*x_pre",
                on_event="present",
                weights=Uniform(low=0.0, high=1.0),
                pairs=fields,
            ),
            "s1_place": Projection(
                pre="s1",
                post="place",
                transmit="best_post = clip(best_post, v_pre, 1e30)",
                on_event="candidate",
                when="before_groups",
                pairs=(cell, place),
                order=1,
                order_free=True,
            ),
            "place_s1": Projection(
                pre="place",
                post="s1",
                transmit="best_post = best_pre",
                on_event="active",
                when="before_thresholds",
                order=1,
                pairs=(place, cell),
            ),
            "s1_c1": Projection(pre="s1", post="c1", transmit="v_post += 1", pairs=(cell, pools)),
            "c1_decision": Projection(
                pre="c1",
                post="decision",
                transmit="v_post += w",
                weights=Uniform(low=0.0, high=w_max),
                rule=plasticity.reward_prediction(modulator="environment.reward", eta=eta),
            ),
            **_answers(),
        },
        presentation=Presentation(duration=_STEPS * ms, reset="none"),
        output="decision",
    )


def reward_network(
    n_inputs: int,
    n_classes: int,
    *,
    n_hidden: int = 200,
    eta: Schedule | float | None = None,
    V_th: float = 0.5,
) -> NetworkModel:
    """Samples to a decision by spikes, over random features; learns from right or wrong.

    A hidden cell fires once if the weighted sum of the sample exceeds its threshold; its weights
    are drawn from a normal distribution and do not learn. The decision cells add up the weights of
    the hidden cells that fired; decision, reward and learning are those of
    :func:`convolutional_reward_network`, and so is the presentation of five steps of 1 ms.

    Parameters
    ----------
    n_inputs, n_classes : int
        Values of a sample; decision cells, of which cell ``k`` stands for class ``k``.
    n_hidden : int
        Hidden cells.
    eta : Schedule or float, optional
        Learning rate of the decision. Default: from 1.2/n_hidden, which is 0.6 by the cells that
        fire where half of them do, to a twentieth of it.
    V_th : float
        Threshold of hidden cells, > 0; the weights have a standard deviation of 1.

    Returns
    -------
    NetworkModel
        Populations ``inp``, ``hidden``, ``environment`` and ``decision`` (the output); projections
        ``inp_hidden`` and ``hidden_decision``, which learns. Inputs ``sample``, ``label`` (the
        class plus 1) and ``gift``, the latter two as in :func:`convolutional_reward_network`.

    Raises
    ------
    ParameterError
        If a number is out of its bounds.

    Notes
    -----
    The rule is :func:`biosnn.plasticity.reward_prediction`; fixed random features below a learned
    decision are Rosenblatt's (1958), doi:10.1037/h0042519.
    """
    where = "reward_network"
    check_whole(where, "n_inputs", n_inputs, 1)
    check_whole(where, "n_classes", n_classes, 1)
    check_whole(where, "n_hidden", n_hidden, 1)
    check_value(where, "V_th", V_th, 1.0, "> 0")
    if eta is None:
        eta = Schedule(start=1.2 / n_hidden, stop=0.06 / n_hidden)
    hidden = NeuronModel(
        name="RandomFeature",
        equations="v : 1",
        threshold="v > V_th",
        reset="v = 0",
        parameters={"V_th": V_th},
        operations=(Operation(code="v = 0", on="onset"),),
    )
    return NetworkModel(
        name=where,
        dt=1 * ms,
        inputs={
            "sample": Input(features=n_inputs),
            "label": Input(features=1, optional=True),
            "gift": Input(features=1, optional=True),
        },
        populations={
            "inp": Population(model=encoding.direct(), n=n_inputs, drives={"x": "sample"}),
            "hidden": Population(model=hidden, n=n_hidden),
            "environment": Population(
                model=_environment(), n=1, drives={"label": "label", "gift": "gift"}
            ),
            "decision": Population(model=_decision_cell(), n=n_classes),
        },
        projections={
            "inp_hidden": Projection(
                pre="inp",
                post="hidden",
                transmit="v_post += w*x_pre",
                on_event="present",
                weights=Normal(mean=0.0, sd=1.0),
            ),
            "hidden_decision": Projection(
                pre="hidden",
                post="decision",
                transmit="v_post += w",
                # Half of the hidden cells predict a reward of 1/n_classes, on average.
                weights=Uniform(low=0.0, high=4 / (n_classes * n_hidden)),
                rule=plasticity.reward_prediction(modulator="environment.reward", eta=eta),
            ),
            **_answers(),
        },
        presentation=Presentation(duration=_STEPS * ms, reset="none"),
        output="decision",
    )
