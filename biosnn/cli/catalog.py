"""The catalogue of the library, read from the specs and their docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import attrs
from brian2 import cm, ms, msiemens, mV, uamp, ufarad
from brian2.units.fundamentalunits import Quantity

from biosnn import encoding, plasticity
from biosnn.models import LIBRARY, SYNAPSES, Companion, NeuronModel, SynapseModel, Trace
from biosnn.plasticity import PlasticityRule

#: Units that Brian2 would write as powers of base units.
_UNITS = {
    "uF/cm^2": ufarad / cm**2,
    "mS/cm^2": msiemens / cm**2,
    "uA/cm^2": uamp / cm**2,
    "1/mV": 1 / mV,
    "1/mV^2": 1 / mV**2,
    "1/(ms*mV)": 1 / (ms * mV),
}
_SPECS = ("PlasticityRule", "Companion", "NeuronModel")
_ROLE = re.compile(r":\w+:`([\w.]+)`")


@attrs.frozen(kw_only=True)
class Entry:
    """One model, synapse, rule or encoder.

    Parameters
    ----------
    name, call : str
        Its name in the list, and how it is written in Python.
    prose : str
        What it is; the first paragraph says it in a sentence.
    facts : dict
        Heading -> equations or statements.
    parameters : tuple
        Rows of name, default, bound (or nothing) and meaning.
    reference : str
        Source with DOI.
    """

    name: str
    call: str
    prose: str
    facts: dict[str, str]
    parameters: tuple[tuple[str, str, str, str], ...]
    reference: str = ""

    @property
    def summary(self) -> str:
        """What it is, in a sentence."""
        return self.prose.partition("\n\n")[0]


def catalog() -> dict[str, tuple[Entry, ...]]:
    """The entries of each kind."""
    return {
        "neuron models": tuple(
            _published(name, function, source) for name, (function, source) in LIBRARY.items()
        ),
        "synapses": tuple(
            _published(name, function, source) for name, (function, source) in SYNAPSES.items()
        ),
        "plasticity rules": tuple(_made_by(name, function) for name, function in _rules()),
        "encoders": tuple(_encoders()),
    }


def _published(name: str, function: Callable[..., Any], source: ModuleType) -> Entry:
    """An entry whose text is a module of ``biosnn.equations``."""
    return Entry(
        name=name,
        call=f"models.{function.__name__}",
        prose=prose(inspect.getdoc(source)),
        facts=_facts(function(), source),
        parameters=tuple(
            (parameter, text(default), bound, meaning)
            for parameter, (default, bound, meaning) in source.PARAMETERS.items()
        ),
        reference=source.REFERENCE,
    )


def _made_by(name: str, function: Callable[..., Any], module: str = "plasticity") -> Entry:
    """An entry whose text is a function's docstring."""
    made = _with_defaults(function)
    meanings = documented(function)
    description = (inspect.getdoc(function) or "").partition("\nParameters\n")[0]
    return Entry(
        name=name,
        call=f"{module}.{function.__name__}",
        prose=prose(description),
        facts=_facts(made),
        parameters=tuple(
            (
                parameter.name,
                "" if parameter.default is parameter.empty else text(parameter.default),
                "",
                meanings.get(parameter.name, ""),
            )
            for parameter in inspect.signature(function).parameters.values()
        ),
        reference=getattr(made, "reference", "") or _noted(function),
    )


def _rules() -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in plasticity.__all__:
        value = getattr(plasticity, name)
        if inspect.isfunction(value) and _returns(value) in _SPECS:
            yield name, value


def _encoders() -> Iterator[Entry]:
    """The encoders, as populations where they exist as such."""
    for name, (array, population) in encoding.ENCODERS.items():
        function = array if population is None else population
        if function is None:
            continue
        entry = _made_by(name, function, "encoding")
        if population is not None and array is not None:
            facts = {**entry.facts, "as an array function": f"encoding.{array.__name__}"}
            entry = attrs.evolve(entry, facts=facts, reference=entry.reference or _noted(array))
        yield entry


def _returns(function: Callable[..., Any]) -> str:
    returned = function.__annotations__.get("return")
    return getattr(returned, "__name__", str(returned))


def _with_defaults(function: Callable[..., Any]) -> Any:
    """Call a function with its defaults; None if it needs more than a modulator."""
    parameters = inspect.signature(function).parameters.values()
    needed = [k.name for k in parameters if k.default is k.empty and k.kind is not k.VAR_KEYWORD]
    known = {"modulator": "population.variable"}
    return None if set(needed) - set(known) else function(**{key: known[key] for key in needed})


# --- facts


def _facts(made: Any, source: ModuleType | None = None) -> dict[str, str]:
    match made:
        case NeuronModel():
            found = _neuron(made, source)
        case SynapseModel():
            found = {
                "on the postsynaptic neuron": made.companion.equations,
                "adds to its input": made.current,
                "on a presynaptic spike": made.transmit,
                "on every synapse": made.equations,
            }
        case Companion():
            found = {"on the neuron": _on_neuron(made)}
        case PlasticityRule():
            found = _rule(made)
        case _:
            found = {}
    return {title: fact.strip("\n") for title, fact in found.items() if fact and fact.strip()}


def _neuron(made: NeuronModel, source: ModuleType | None) -> dict[str, str]:
    found = {
        "equations": made.equations if source is None else source.EQUATIONS,
        "threshold": made.threshold or "",
        "reset": made.reset or "",
        "events": "\n".join(f"{k}: {getattr(e, 'condition', e)}" for k, e in made.events.items()),
    }
    if source is None:
        return found
    initial = "\n".join(f"{name} = {text(value)}" for name, value in made.initial.items())
    return {
        **found,
        "refractory": "" if made.refractory is None else str(made.refractory),
        "method": made.method,
        "operations": "\n".join(f"{o.code}  (on {o.on}, {o.when})" for o in made.operations),
        "initial values": initial,
    }


def _rule(made: PlasticityRule) -> dict[str, str]:
    found: dict[str, str] = {"on every synapse": made.equations}
    for part in made.statements:
        if part.side == "synapse":
            step = "every step" if part.every is None else f"every {text(part.every)}"
            title = "at the end of a presentation" if part.at_end else step
        else:
            title = f"on a {part.side}synaptic {part.event}"
        found[title] = f"{found.get(title, '')}\n{part.code}"
    for side in ("pre", "post"):
        found[f"{side}synaptic neuron"] = "\n".join(map(_on_neuron, made.needs(side)))
    return found


def _on_neuron(part: Trace | Companion) -> str:
    """What a rule or a synapse keeps on a neuron."""
    if isinstance(part, Trace):
        return f"{part.name} {part.bump} on a spike, tau = {text(part.tau)}"
    lines = part.equations.strip().splitlines()
    lines += [f"{o.code.strip()}  (on {o.on}, {o.when})" for o in part.operations]
    lines += [
        f"event {name}: {event.condition}" for name, event in getattr(part, "events", {}).items()
    ]
    return "\n".join([*lines, *(f"{k} = {text(v)}" for k, v in part.parameters.items())])


# --- text


def prose(doc: str | None) -> str:
    """Text of a docstring without its line breaks, roles and double quotes."""
    paragraphs = inspect.cleandoc(doc or "").strip().split("\n\n")
    joined = "\n\n".join(" ".join(part.split()) for part in paragraphs)
    return _ROLE.sub(r"\1", joined).replace("``", "")


def text(value: Any) -> str:
    """A number with its unit, without the point that Brian2 leaves behind whole numbers."""
    if isinstance(value, Quantity) and value.ndim == 0:
        for name, unit in _UNITS.items():
            if value.dim is unit.dim:
                return f"{float(value / unit):.6g} {name}"
    return re.sub(r"(?<=\d)\.(?=\s|$)", "", str(value)).removesuffix(".0")


def _section(function: Callable[..., Any], title: str) -> str:
    found = re.search(
        rf"^{title}\n-+\n(.*?)(?:\n\n\w[\w ]*\n-+\n|\Z)",
        inspect.getdoc(function) or "",
        re.S | re.M,
    )
    return found[1] if found else ""


def _noted(function: Callable[..., Any]) -> str:
    """The source that a docstring names in its notes or references."""
    notes = prose(_section(function, "Notes") or _section(function, "References"))
    return notes if "doi:" in notes else ""


def documented(function: Callable[..., Any]) -> dict[str, str]:
    """Meaning of each parameter, from the docstring's section."""
    meanings: dict[str, str] = {}
    names: list[str] = []
    for line in _section(function, "Parameters").splitlines():
        if line[:1].strip():
            names = [name.strip(" *") for name in line.partition(" : ")[0].split(",")]
        else:
            for name in names:
                meanings[name] = f"{meanings.get(name, '')} {line.strip()}".strip()
    return {name: prose(meaning).removesuffix(".") for name, meaning in meanings.items()}
