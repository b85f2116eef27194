"""What a stranger's file could hold: hostile texts, damaged declarations, changed bytes.

Hypothesis draws them. :func:`watched` runs a call under an audit hook that sees each process that
would be started and each file that would be written.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from brian2 import ms
from hypothesis import strategies as st

from biosnn import files, models, plasticity
from biosnn.declaration import to_data
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection

#: Words that Python, sympy and shells would act on, and numbers that are too large.
CALLS = (
    'exp(\'\\137\\137import\\137\\137("os").system("touch MARK")\')',
    "__import__('os').system('touch MARK')",
    "open('MARK', 'w')",
    "exp(open)",
    "().__class__.__bases__",
    "9**9**9**9",
    "exp(exp(exp(exp(99))))",
    "(a + b + c + d)**999",
    "((1 + 1/10**300)**999)**999",
    "lambda: 1",
    "[0]*10**9",
    "'a'*10**9",
    "{1: 2}",
    "a if b else c",
    "$(touch MARK)",
    "\\u0065xp(1)",
    '"); system("touch MARK"); //',
    "#define a b",
    "%s %n {0} {{",
)
NAMES = ("a", "b", "v", "w", "x_pre", "y_post", "g_e", "tau", "E_L", "t", "dt", "i", "N", "xi")
UNITS = ("1", "volt", "amp/meter**2", "second**-1", "boolean", "integer")
_OPERATORS = (" + ", " - ", "*", "/", "**", "%", "//", " > ", " <= ", " and ", " or ")
_FUNCTIONS = ("exp", "log", "sqrt", "abs", "clip", "int", "floor", "rand", "sin", "sign", "eval")


def numbers() -> st.SearchStrategy[str]:
    """Numbers as texts."""
    small = st.integers(0, 12).map(str)
    floats = st.floats(1e-6, 1e6).map(lambda x: f"{x:.3g}")
    return st.one_of(small, floats, st.sampled_from(("1e308", "1e400", "0.0", "10**20", "1_0")))


def expressions() -> st.SearchStrategy[str]:
    """Expressions, many of which are Brian2's, with hostile parts in some."""
    leaves = st.one_of(st.sampled_from(NAMES), numbers(), st.sampled_from(("5*mV", "10*ms", "-v")))

    def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.tuples(inner, st.sampled_from(_OPERATORS), inner).map(lambda t: f"({''.join(t)})"),
            st.tuples(st.sampled_from(_FUNCTIONS), st.lists(inner, max_size=3)).map(
                lambda t: f"{t[0]}({', '.join(t[1])})"
            ),
            inner.map(lambda text: f"not {text}"),
            inner.map(lambda text: f"-{text}"),
        )

    good = st.recursive(leaves, grown, max_leaves=25)
    broken = st.tuples(good, st.integers(0, 99), st.one_of(st.sampled_from(CALLS), st.text()))
    return st.one_of(
        good, broken.map(lambda t: t[0][: t[1]] + t[2] + t[0][t[1] :]), st.sampled_from(CALLS)
    )


def equations() -> st.SearchStrategy[str]:
    """Texts of equations of one to six lines."""
    names = st.sampled_from((*NAMES, "z", "double", "é", "__x", "u1"))
    line = st.one_of(
        st.tuples(names, expressions(), st.sampled_from(UNITS)).map(
            lambda t: f"d{t[0]}/dt = ({t[1]})/ms : {t[2]}"
        ),
        st.tuples(names, expressions(), st.sampled_from((*UNITS, "volt.real", "eval('1')"))).map(
            lambda t: f"{t[0]} = {t[1]} : {t[2]}"
        ),
        st.tuples(names, st.sampled_from(UNITS)).map(lambda t: f"{t[0]} : {t[1]} (constant)"),
        st.text(max_size=30),
    )
    return st.lists(line, min_size=1, max_size=6).map("\n".join)


def small_network() -> NetworkModel:
    """A network with one of most things that a declaration can hold."""
    cell = models.lif().with_synapses(ampa=models.exponential_current())
    return NetworkModel(
        name="small",
        dt=1 * ms,
        inputs={"x": Input(features=3)},
        populations={
            "in": Population(model=models.lif(), n=3, drives={"I": "x"}),
            "out": Population(model=cell, n=2),
        },
        projections={
            "join": Projection(
                pre="in",
                post="out",
                synapse="ampa",
                weights=_uniform(),
                rule=plasticity.pair_stdp(),
                delay=2 * ms,
            ),
        },
        presentation=Presentation(duration=20 * ms),
        output="out",
    )


def _uniform() -> Any:
    """Random initial weights."""
    return models.Uniform(low=0.0, high=1.0)


def saved(network: Any, **content: Any) -> bytes:
    """Bytes of a model's file with this declaration (JSON data), whatever is in it."""
    body = {
        "network": network,
        "shapes": small_network().shapes,
        "readout": None,
        "preprocessing": {},
        "observed": "out.count",
        "precision": "double",
        "provenance": {},
        **content,
    }
    state = small_network().initial_state()
    return files.packed("model", body, {f"state/{name}": state[name] for name in state})


def resealed(data: bytes) -> bytes:
    """The bytes with the SHA-256 that belongs to them, as an attacker would write it."""
    mark = b'"biosnn":"'
    at = data.find(mark) + len(mark)
    if at < len(mark) or len(data) < at + 64:
        return data
    blank = data[:at] + b"0" * 64 + data[at + 64 :]
    return data[:at] + hashlib.sha256(blank).hexdigest().encode() + data[at + 64 :]


def places(data: Any) -> list[tuple[Any, Any]]:
    """All containers in JSON data, each with each of its keys."""
    found = []
    queue = [data]
    while queue:
        item = queue.pop()
        keys = list(item) if isinstance(item, dict) else range(len(item))
        for key in keys:
            found.append((item, key))
            if isinstance(item[key], dict | list):
                queue.append(item[key])
    return found


def _values() -> st.SearchStrategy[Any]:
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**13), 10**13),
        st.floats(),
        st.text(max_size=20),
        expressions(),
        equations(),
        st.sampled_from(("U500000000", "../../etc", "/tmp/x", "NeuronModel", "$spec", "O")),
    )
    small = st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(st.sampled_from(("$spec", "$array", "dtype", "dim", "n")), inner),
        ),
        max_leaves=6,
    )
    return st.one_of(small, st.integers(1, 300).map(_nested))


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


#: what every damaged declaration begins as
WHOLE = json.dumps(to_data(small_network()))


@st.composite
def declarations(draw: st.DrawFn) -> Any:
    """Declarations of a network with one to three places changed, lost or swapped."""
    data = json.loads(WHOLE)
    for _ in range(draw(st.integers(1, 3))):
        container, key = draw(st.sampled_from(places(data)))
        action = draw(st.sampled_from(("change", "change", "lose", "swap", "rename")))
        try:
            if action == "change":
                container[key] = draw(_values())
            elif action == "lose":
                del container[key]
            elif action == "rename" and isinstance(container, dict):
                container[draw(st.one_of(st.sampled_from(CALLS), st.text(max_size=9)))] = (
                    container.pop(key)
                )
            else:
                other, place = draw(st.sampled_from(places(data)))
                container[key] = copy.deepcopy(other[place])
        except (IndexError, KeyError):
            continue  # an earlier change took the place away
    return data


class TouchedError(AssertionError):
    """Something was done that reading a file never does."""


_STARTS = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "socket.connect",
)
_CHANGING = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod")
_allowed: list[Path] | None = None


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _allowed is None:
        return
    if event in _STARTS:
        raise TouchedError(f"{event} {arguments!r:.200}")
    writes = False
    if event == "open":
        path, mode, flags = arguments
        writing = isinstance(mode, str) and set(mode) & set("wax+")
        changing = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        writes = bool(writing or changing) and isinstance(path, str | bytes | os.PathLike)
    elif event in _CHANGING:
        path, writes = arguments[0], True
    if writes and not any(Path(os.fsdecode(path)).is_relative_to(root) for root in _allowed):
        raise TouchedError(f"{event} {path!r}")


_hooked = False


@contextlib.contextmanager
def watched(*folders: Path) -> Iterator[None]:
    """Refuse processes, connections, and changes of files outside of some folders."""
    global _allowed, _hooked
    if not _hooked:
        sys.addaudithook(_audit)
        _hooked = True
    _allowed = [Path(folder) for folder in folders]
    try:
        yield
    finally:
        _allowed = None


@st.composite
def changed(draw: st.DrawFn, whole: bytes) -> bytes:
    """The bytes of a file with some of them changed, lost, repeated or put in."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        match draw(st.sampled_from(("flip", "cut", "insert", "length", "digits"))):
            case "flip" if data:
                data[at] ^= draw(st.integers(1, 255))
            case "cut":
                del data[at : at + draw(st.integers(1, 2_000))]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=40))
            case "length":
                data[:8] = draw(st.integers(0, 2**64 - 1)).to_bytes(8, "little")
            case _:
                data[at : at + 6] = b"999999"
    return resealed(bytes(data)) if draw(st.booleans()) else bytes(data)


def environment() -> dict[str, str]:
    """Variables with which another process finds biosnn and the validations as this one does."""
    root = str(Path(__file__).resolve().parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}


def with_model(**fields: Any) -> bytes:
    """The file of a network whose first population's model has other fields."""
    data = json.loads(WHOLE)
    data["populations"]["in"]["model"].update(fields)
    return saved(data)


def model_files() -> dict[str, bytes]:
    """One file of each kind that once did harm, or took too much time or memory."""
    evil = CALLS[0]
    fields = {
        "equations": f"z = {evil} : 1",
        "threshold": f"v > {evil}",
        "reset": f"v = {evil}",
        "refractory": f"v > {evil}",
        "events": {"e": {"$spec": "Event", "condition": f"v > {evil}"}},
        "operations": [{"$spec": "Operation", "code": f"v = {evil}"}],
        "parameters": {evil: 1.0},
        "initial": {"v": evil},
        "links": {"v": evil},
    }
    found = {f"S1 {field}": with_model(**{field: value}) for field, value in fields.items()}
    data = json.loads(WHOLE)
    data["projections"]["join"]["transmit"] = f"v_post += {evil}"
    data["projections"]["join"]["synapse"] = None
    found["S1 transmit"] = saved(data)
    data = json.loads(WHOLE)
    data["projections"]["join"]["rule"]["statements"][0]["code"] = f"w = {evil}"
    found["S1 statements"] = saved(data)
    bombs = {
        "a tower of powers": "z = 9**9**9 : 1",
        "20,000 lines": "\n".join(f"z{k} = {k} : 1" for k in range(20_000)),
        "a million lines": "a:1\n" * 1_000_000,
        "doubling": "\n".join(
            ["a0 = v : volt", *(f"a{k + 1} = a{k} + a{k} : volt" for k in range(60))]
        ),
        "deep parentheses": f"z = {'(' * 20_000}1{')' * 20_000} : 1",
    }
    found |= {f"S8 {name}": with_model(equations=text) for name, text in bombs.items()}
    for name, n in (("10**12 neurons", 10**12), ("2*10**9 neurons", 2 * 10**9)):
        data = json.loads(WHOLE)
        data["populations"]["in"]["n"] = data["inputs"]["x"]["features"] = n
        found[f"S8 {name}"] = saved(data)
    data = json.loads(WHOLE)
    data["projections"]["join"]["weights"] = {"$array": ["a"], "dtype": "U500000000"}
    found["S8 a type of long texts"] = saved(data)
    text = WHOLE.replace('"rule"', '"deep": %s, "rule"' % ("[" * 100_000 + "]" * 100_000), 1)
    found["S8 deep lists"] = files.packed("model", {"network": "@"}, {}).replace(
        b"@", json.dumps(text)[1:-1].encode()
    )
    found["S8 a long header"] = (2**40).to_bytes(8, "little") + b"{}"
    found["S7 a path as a name"] = saved({**json.loads(WHOLE), "name": "../../evil"})
    data = json.loads(WHOLE)
    data["populations"]["/etc/passwd"] = data["populations"].pop("in")
    found["S7 a path as a population"] = saved(data)
    return found
