"""A small interpreter of NIR graphs in NumPy, and random graphs, independent of biosnn.

Nodes are computed one after the other in every time step, in the order in which they are given;
an edge that comes from a node further behind brings what that node sent in the last step.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import nir
import numpy as np
from scipy.linalg import expm


def solved(node: Any, state: dict[str, np.ndarray], x: np.ndarray, dt: float, how: Any) -> None:
    """One time step of the equations of a stateful node for an input that is held.

    ``how.integration`` "exact" uses the matrix exponential of the equations of each neuron.
    """
    kind = type(node).__name__
    v = state["v"]
    if kind == "Threshold":
        state["v"] = x.copy()
    elif kind in ("I", "IF"):
        state["v"] = v + dt * node.r * x
    elif how.integration == "euler":
        if kind in ("LI", "LIF"):
            state["v"] = v + dt / node.tau * (node.v_leak - v + node.r * x)
            return
        jump = node.w_in * x * (1 if how.synapse == "jump" else dt / node.tau_syn)
        after = state["syn"] - dt / node.tau_syn * state["syn"] + jump
        syn = after if how.current == "updated" else state["syn"]
        state["v"] = v + dt / node.tau_mem * (node.v_leak - v + node.r * syn)
        state["syn"] = after
    else:
        for k in np.ndindex(v.shape):
            if kind in ("LI", "LIF"):
                a = np.array([[-1 / node.tau[k]]])
                b = np.array([(node.v_leak[k] + node.r[k] * x[k]) / node.tau[k]])
                y = np.array([v[k]])
            else:
                a = np.array(
                    [[-1 / node.tau_mem[k], node.r[k] / node.tau_mem[k]], [0, -1 / node.tau_syn[k]]]
                )
                b = np.array(
                    [node.v_leak[k] / node.tau_mem[k], node.w_in[k] * x[k] / node.tau_syn[k]]
                )
                y = np.array([v[k], state["syn"][k]])
            whole = np.zeros((len(b) + 1, len(b) + 1))
            whole[:-1, :-1], whole[:-1, -1] = a * dt, b * dt
            y = (expm(whole) @ np.append(y, 1.0))[:-1]
            state["v"][k] = y[0]
            if len(y) > 1:
                state["syn"][k] = y[1]


def reset(node: Any, mine: dict[str, np.ndarray], fired: np.ndarray, limit: Any, how: Any) -> None:
    """Reset the potential where neurons have fired."""
    if not hasattr(node, "v_reset"):
        return
    new = mine["v"] - limit if how.reset == "subtract" else node.v_reset
    mine["v"] = np.where(fired, new, mine["v"])


def stateless(node: Any, x: np.ndarray) -> np.ndarray:
    """What a stateless node makes of a signal (no convolutions and delays)."""
    match node:
        case nir.Affine():
            return node.weight @ x + node.bias
        case nir.Linear():
            return node.weight @ x
        case nir.Scale():
            return node.scale * x
        case nir.Flatten():
            return x.reshape(node.output_type["output"])
    return x


def run(graph: nir.NIRGraph, x: np.ndarray, dt: float, how: Any) -> dict[str, np.ndarray]:
    """Signals of all nodes in all time steps.

    Parameters
    ----------
    graph : NIRGraph
        Without subgraphs, its nodes in the order in which they are computed.
    x : numpy.ndarray, shape (T, features)
        Values of the only input.
    """
    sent: dict[str, np.ndarray] = {}
    state: dict[str, dict[str, np.ndarray]] = {}
    for name, node in graph.nodes.items():
        shape = tuple(int(k) for k in np.atleast_1d(next(iter(node.output_type.values()))))
        sent[name] = np.zeros(shape)
        if isinstance(node, nir.Delay):
            steps = np.rint(node.delay / dt).astype(int)
            state[name] = {"past": np.zeros((steps.max() + 1, *shape)), "steps": steps}
            continue
        begin = np.zeros(shape)
        if how.start == "v_leak" and hasattr(node, "v_leak"):
            begin = node.v_leak.astype(float).copy()
        if how.start == "v_reset":
            begin = getattr(node, "v_reset", getattr(node, "v_leak", begin)) + np.zeros(shape)
        state[name] = {"v": begin, "syn": np.zeros(shape), "fired": np.zeros(shape, bool)}
    found: dict[str, list[np.ndarray]] = {name: [] for name in graph.nodes}
    for values in x:
        for name, node in graph.nodes.items():
            into = [sent[a] for a, b in graph.edges if b == name]
            arrives = np.sum(into, axis=0) if into else values
            if isinstance(node, nir.Delay):
                past = state[name]["past"] = np.concatenate(
                    [arrives[None], state[name]["past"][:-1]]
                )
                sent[name] = np.take_along_axis(past, state[name]["steps"][None], axis=0)[0]
            elif hasattr(node, "r") or isinstance(node, nir.Threshold):
                mine = state[name]
                limit = getattr(node, "v_threshold", getattr(node, "threshold", np.inf))
                loses = isinstance(node, nir.CubaLIF) or f"rec{name[4:]}" in graph.nodes
                if how.reset_delay and not loses and how.reset == "v_reset":
                    reset(node, mine, mine["fired"], limit, how)
                solved(node, mine, arrives, dt, how)
                if how.reset_delay and (loses or how.reset == "subtract"):
                    reset(node, mine, mine["fired"], limit, how)
                fired = mine["v"] > limit if how.fires == ">" else mine["v"] >= limit
                mine["fired"] = fired
                sent[name] = mine["v"].copy() if limit is np.inf else fired.astype(float)
                if not how.reset_delay:
                    reset(node, mine, fired, limit, how)
            else:
                sent[name] = stateless(node, arrives)
            found[name].append(sent[name])
    return {name: np.array(values) for name, values in found.items()}


def random_graph(rng: np.random.Generator) -> nir.NIRGraph:
    """1 to 4 layers of spiking neurons with parameters that differ, some of them recurrent."""
    sizes = rng.integers(3, 9, size=rng.integers(2, 6))
    nodes: dict[str, Any] = {"input": nir.Input(np.array([sizes[0]]))}
    edges, last = [], "input"
    for k, (n_in, n) in enumerate(pairwise(sizes)):
        weight = rng.normal(size=(n, n_in)) * 6 / np.sqrt(n_in)
        recurrent = rng.random() < 0.5
        if rng.random() < 0.5:
            nodes[f"fc{k}"] = nir.Affine(weight, rng.normal(size=n) * 0.3)
        else:
            nodes[f"fc{k}"] = nir.Linear(weight)
        edges.append((last, f"fc{k}"))
        last = f"fc{k}"
        if rng.random() < 0.4:
            nodes[f"scale{k}"] = nir.Scale(rng.uniform(0.5, 1.5, n))
            edges.append((last, f"scale{k}"))
            last = f"scale{k}"
        if rng.random() < 0.3 and k:
            nodes[f"delay{k}"] = nir.Delay(rng.integers(0, 4, n) * 1e-3)
            if not isinstance(nodes[f"fc{k}"], nir.Affine):
                edges.append((last, f"delay{k}"))
                last = f"delay{k}"
            else:
                del nodes[f"delay{k}"]
        cell = f"cell{k}"
        nodes[cell] = spiking(rng, int(n))
        edges.append((last, cell))
        if recurrent:
            nodes[f"rec{k}"] = nir.Linear(rng.normal(size=(n, n)) * 2)
            edges += [(cell, f"rec{k}"), (f"rec{k}", cell)]
        last = cell
    nodes["output"] = nir.Output(np.array([sizes[-1]]))
    edges.append((last, "output"))
    # A node that closes a loop comes behind the cell: it brings what was sent a step ago.
    return nir.NIRGraph(nodes=nodes, edges=edges)


def spiking(rng: np.random.Generator, n: int) -> Any:
    """A layer of spiking neurons that fire with inputs of about 1."""
    rest = rng.normal(size=n) * 0.1
    common = {"v_threshold": rng.uniform(0.3, 0.6, n), "v_reset": rest - 0.1}
    match rng.choice(["LIF", "IF", "CubaLIF"]):
        case "LIF":
            tau = rng.uniform(3e-3, 20e-3, n)
            return nir.LIF(tau=tau, r=rng.uniform(0.5, 1.5, n), v_leak=rest, **common)
        case "IF":
            return nir.IF(r=rng.uniform(50, 200, n), **common)
        case _:
            tau = rng.uniform(3e-3, 20e-3, n)
            syn = np.where(rng.random(n) < 0.3, tau, rng.uniform(2e-3, 8e-3, n))
            return nir.CubaLIF(
                tau_syn=syn,
                tau_mem=tau,
                r=rng.uniform(0.5, 1.5, n),
                v_leak=rest,
                w_in=rng.uniform(0.8, 1.5, n),
                **common,
            )
