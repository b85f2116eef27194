"""Source of torch code for some groups and connections of a program, statement by statement.

The functions of a program share what is known before a run: constants stand as numbers at the
head of the source, and what depends on trained constants is computed by ``prepare`` once a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
import numpy as np
from brian2.codegen.translation import make_statements
from brian2.core.functions import Function

from biosnn.errors import ParameterError
from biosnn.program.program import Array, Program
from biosnn.program.scope import Name, Scope
from biosnn.surrogate.compiler import operations
from biosnn.surrogate.compiler.comparisons import Above, width_of
from biosnn.surrogate.compiler.expressions import CONST, PARAM, TENSOR, TIME, TorchRenderer, Value
from biosnn.surrogate.compiler.liveness import LIBRARIES, Compiled, Line, Phase, Stored

#: Names that generated code uses itself, and forms of those that it makes.
_RESERVED = frozenset(
    {"torch", "np", "float", "int", "not", "and", "or", "t", "step_", "state_", "fixed_", "port_"}
) | {"real_", "rand_", "randn_"}
_BEGINNINGS = ("const_", "above_", "port_", "protocol_", "arrived_", "chosen_", "matrix_of_")
_BEGINNINGS += ("sum_of_", "ones_of_", "at_pre_of_", "at_post_of_")
_ENDINGS = ("_now", "_fired", "_detached", "_new")


class SourceWriter:
    """Writes torch code for what belongs together.

    Parameters
    ----------
    program : Program
        What is translated.
    prefixed : bool
        Whether names begin with that of their owner, because there are several.
    trained : mapping
        ``(owner, constant)`` -> name in the program, for constants that are trained.
    surrogate : Surrogate
        Gradient of comparisons.
    widths : mapping
        Text of a comparison -> its width in SI units, where it is not the default.
    detach_reset : bool
        Whether resets pass no gradient to the spikes.
    smooth : bool
        Whether comparisons are smooth steps (for checks of gradients), not spikes.
    context : mapping
        Name of a variable of the protocol -> its value's description.
    functions : mapping
        Brian2 function -> its counterpart in torch.
    apart : iterable of str
        Owners whose names always begin with theirs: the synapses.
    """

    def __init__(
        self,
        program: Program,
        *,
        prefixed: bool,
        surrogate: Any,
        trained: Mapping[tuple[str, str], str] | None = None,
        widths: Mapping[str, float] | None = None,
        detach_reset: bool = True,
        smooth: bool = False,
        context: Mapping[str, Value] | None = None,
        functions: Mapping[Any, Any] | None = None,
        apart: Iterable[str] = (),
    ):
        self.program, self.dt = program, program.dt
        self.prefixed, self.surrogate = prefixed, surrogate
        self.detach_reset, self.smooth = detach_reset, smooth
        self.trained, self.widths = dict(trained or {}), dict(widths or {})
        self.context, self.functions = dict(context or {}), dict(functions or {})
        self.stored: dict[str, Stored] = {}
        self.diff: set[str] = set()  # stored variables that gradients go through
        self.soft: set[str] = set()  # stored variables that are truth values with gradients
        self.soft_events: set[str] = set()  # events that gradients go through
        self.tested: set[str] = set()  # events whose test has been translated, in any phase
        self.steep = False  # whether potentials may overflow before a reset
        self.apart = frozenset(apart)
        self.ports: set[str] = set()  # what comes from outside in every step
        self.pasts: dict[str, tuple[str, str, int]] = {}  # ... of which: earlier events of its own
        self.needs_ones: set[str] = set()  # projections that need one 1 per synapse
        self.constants: list[Line] = []
        self.prepared: list[Line] = []
        self.notes: list[str] = []
        self.namespace: dict[str, Any] = {
            "clip_": operations.clip,
            "exprel_": operations.exprel,
            "timestep_": operations.timestep,
            "blend_": operations.blend,
            "filled_": operations.filled,
        }
        self._ports: dict[tuple[Any, ...], str] = {}
        self._known: dict[Any, Any] = {}
        self._scopes: dict[str, Scope] = {}
        self._locals: dict[tuple[str, str, bool], str] = {}
        self._hoisted: dict[tuple[int, str], str] = {}

    # --- names

    def local(self, owner: str, name: str, made: bool = False) -> str:
        """Name of an owner's variable in the program, which nothing else in it has.

        With ``made`` the name is one that generated code gives itself, such as an event's.
        """
        key = (owner, name, made)
        if key not in self._locals:
            found = f"{owner}_{name}" if self.prefixed or owner in self.apart else name
            if not made and (found.startswith(_BEGINNINGS) or found.endswith(_ENDINGS)):
                found = f"{found}_"
            while self._taken(found):
                found = f"{found}_"
            self._locals[key] = found
        return self._locals[key]

    def _taken(self, name: str) -> bool:
        return name in _RESERVED or name in self.namespace or name in self._locals.values()

    def port(self, kind: str, *what: Any) -> str:
        """Name of something that comes from outside in every step; the same at every call."""
        key = (kind, *what)
        name = self._ports.setdefault(key, f"port_{kind}_{len(self._ports) + 1}")
        self.ports.add(name)
        return name

    def constant(self, owner: str, name: str, value: Any) -> Value:
        """A constant's value, written once at the head of the source."""
        local = self.local(owner, name)
        if (owner, name) in self.trained:
            return Value(local, "float", PARAM, True)
        value = value.item() if hasattr(value, "item") else value
        kind = {bool: "bool", int: "int"}.get(type(value), "float")
        if self._known.setdefault(local, value) != value and value == value:
            raise ParameterError(owner, name, value, f"one value only ({self._known[local]})")
        if all(line.target != local for line in self.constants):
            number = repr(value) if np.isfinite(value) else f'float("{value}")'
            self.constants.append(Line(local, number))
        return Value(local, kind, CONST)

    def number(self, value: Value) -> Any:
        """The number that a constant value stands for."""
        scope = {**LIBRARIES, **self.namespace}
        exec("\n".join(str(line) for line in self.constants), scope)
        return eval(value.text, scope)

    def hoist(self, value: Value) -> Value:
        """Compute beforehand what is no plain name or number."""
        if value.level > PARAM or value.text.isidentifier() or _plain_number(value.text):
            return value
        key = (value.level, value.text)
        if key not in self._hoisted:
            self._hoisted[key] = f"const_{len(self._hoisted) + 1}"
            lines = self.constants if value.level == CONST else self.prepared
            # A number of Python: numpy's would take tensors for arrays.
            plain = value.level == PARAM or value.kind != "float" or value.text[:6] == "float("
            text = value.text if plain else f"float({value.text})"
            lines.append(Line(self._hoisted[key], text))
        return attrs.evolve(value, text=self._hoisted[key])

    # --- rendering

    def scope(self, owner: str) -> Scope:
        """What the names in the code of a group or a connection mean."""
        return self._scopes.setdefault(owner, Scope(self.program, owner))

    def statements(self, code: str, variables: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        """Brian2's own statements ``(variable, operator, expression)``, optimised and ordered."""
        scalar, vector = make_statements(code, variables, np.float64, optimise=True, blockname="")
        return [(s.var, s.op, s.expr) for s in (*scalar, *vector)]

    def renderer(
        self,
        phase: Phase,
        owner: str,
        variables: Mapping[str, Any],
        known: Mapping[str, Value],
        gathered: Callable[[str, Value], Value] | None = None,
    ) -> TorchRenderer:
        """A renderer for the code of a group or a connection."""

        def lookup(name: str) -> Value:
            value = self.lookup(phase, owner, name)
            return gathered(name, value) if gathered else value

        return TorchRenderer(
            owner,
            variables,
            lookup=lookup,
            known=known,
            condition=lambda strict, text, what: self.condition(owner, strict, text, what),
            functions=self.functions,
            call=lambda name, function, on_tensors: self.bound(owner, name, function, on_tensors),
            hoist=self.hoist,
        )

    def lookup(self, phase: Phase, owner: str, name: str) -> Value:
        """What a name in code stands for."""
        meaning = self.scope(owner).find(name)
        if meaning is None or meaning.kind in ("function", "expression"):
            raise ParameterError(owner, "equations", name, "a constant or a variable")
        if meaning.kind == "clock":
            return self._time(phase, name)
        if meaning.kind == "constant":
            if name in ("N", "N_pre", "N_post"):
                return Value(str(meaning.value), "int", CONST)
            return self.constant(meaning.owner or owner, meaning.declared or name, meaning.value)
        if meaning.owner and meaning.owner == self.program.protocol:
            assert meaning.array is not None
            variable = meaning.array.name
            if variable not in self.context:
                got = f"{name} (protocol.{variable})"
                raise ParameterError(owner, "equations", got, "known outside of Brian2")
            return self._context(phase, variable)
        return self.now(phase, self.stored_name(owner, name, meaning))

    def now(self, phase: Phase, local: str) -> Value:
        """What is known of a stored variable at this point of a function."""
        return phase.current[local] if local in phase.current else self._value_of(local)

    def stored_name(self, owner: str, name: str, meaning: Name) -> str:
        """Take note of what a name in code stands for, if that is stored; its name here."""
        if meaning.array is not None:
            return self.store(meaning.array)
        made = self.program.connections.get(owner)
        if meaning.kind == "degree" or (made is not None and name in ("i", "j")):
            made = self.program.connections[meaning.owner if meaning.kind == "degree" else owner]
            pre, post = made.indices
            values = {
                "i": pre,
                "j": post,
                "N_incoming": np.bincount(post, minlength=made.n_post),
                "N_outgoing": np.bincount(pre, minlength=made.n_pre),
            }
            what = name if meaning.kind != "degree" else meaning.value
            return self._store(made.name, what, "int", values[what])
        return self._store(meaning.owner, "i", "int", np.arange(self.size(meaning.owner)))

    def size(self, group: str) -> int:
        """Number of neurons of a group."""
        return self.program.groups[group].n

    def _value_of(self, local: str) -> Value:
        stored = self.stored[local]
        kind = "soft" if local in self.soft else stored.kind
        return Value(local, kind, TENSOR, local in self.diff)

    def _time(self, phase: Phase, name: str) -> Value:
        name = name.removesuffix("_pre").removesuffix("_post")
        if name == "dt":
            return (
                self.constant("", "dt", self.dt)
                if not self.prefixed
                else Value(repr(self.dt), "float", CONST)
            )
        if name == "t_in_timesteps":
            return Value("step_", "int", TIME)
        if "t" not in phase.defined():
            phase.write("t", f"{self.dt!r} * step_")
        return Value("t", "float", TIME)

    def _context(self, phase: Phase, name: str) -> Value:
        value = self.context[name]
        if value.level == CONST:
            return value
        local = f"protocol_{name}"
        if value.text and local not in phase.defined():
            phase.write(local, value.text)
        return attrs.evolve(value, text=local)

    def store(self, array: Array) -> str:
        """Take note of a stored variable; its name here."""
        kind = {"integer": "int", "boolean": "bool"}.get(array.kind, "float")
        value = np.zeros(array.size, array.dtype(False))
        if isinstance(array.initial, np.ndarray):
            value[:] = array.initial
        return self._store(array.owner, array.name, kind, value)

    def _store(self, owner: str, name: str, kind: str, value: np.ndarray) -> str:
        local = self.local(owner, name)
        self.stored.setdefault(local, Stored(local, owner, name, kind, value))
        return local

    def writable(self, phase: Phase, array: Array) -> str:
        """Text of whether neurons may change a variable now; empty if they always may."""
        if not array.paused:
            return ""
        text = self.lookup(phase, array.owner, "not_refractory").text
        return "" if text == "True" else text

    def guarded(self, phase: Phase, array: Array, text: str, old: str) -> str:
        """A new value that is kept from neurons whose variable cannot be written now."""
        writable = self.writable(phase, array)
        return f"torch.where({writable}, {text}, {old})" if writable else text

    def bound(self, owner: str, name: str, function: Any, on_tensors: bool) -> str:
        """Bind a function to a name of the source."""
        key = (owner, name, on_tensors)
        if key not in self._known:
            if isinstance(function, Function):
                plain = operations.numpy_code(function, self.dt)
                function = operations.OfNumpy(plain) if on_tensors else plain
            local = f"{name}_"
            while self._taken(local):
                local = f"{local}_"
            self._known[key], self.namespace[local] = local, function
        return self._known[key]

    def condition(self, owner: str, strict: bool, difference: str, what: str) -> str:
        """A comparison with a surrogate gradient, of the default width or the user's."""
        width = self.widths.get(what, self.widths.get(""))
        key = (owner, what, "above")
        if key not in self._known:
            number = sum(1 for k in self._known if isinstance(k, tuple) and k[-1] == "above") + 1
            self._known[key] = f"above_{number}"
            scale = width_of(self.scope(owner), what) if width is None else width
            self.namespace[f"above_{number}"] = Above(self.surrogate, scale, strict, self.smooth)
            by = "" if scale == 1.0 else f"/{scale:g}"
            self.notes.append(
                f"above_{number}(d): d {'>' if strict else '>='} 0, gradient {self.surrogate!r} "
                f"of d{by}"
            )
        return f"{self._known[key]}({difference})"

    # --- the finished source

    def compiled(
        self, phases: Iterable[Phase], events: Iterable[str], observed: Iterable[str]
    ) -> Compiled:
        """Write the source and compile it.

        Parameters
        ----------
        phases : iterable of Phase
            Its functions.
        events : iterable of str
            Names of events that others read.
        observed : iterable of str
            Names of stored variables that are kept though no statement needs them.
        """
        phases = list(phases)
        ports = self.ports | set(events)
        observed = set(observed) & set(self.stored)
        needed = set(observed)
        while True:  # what keeps only itself alive is dead
            read = {name for p in phases for name in p.live(needed | ports)}
            if (read & set(self.stored)) <= needed:
                break
            needed |= read & set(self.stored)
        for phase in phases:
            phase.prune(needed | ports)
        ports |= self.tested & {name for p in phases for name in p.loaded}
        written = {name for p in phases for name in p.defined() & needed}
        used = {name for p in phases for name in p.loaded}
        used |= {name for line in self.prepared for name in line.reads}
        for (owner, name), local in self.trained.items():
            if owner in self.program.groups and local not in used:
                wanted = "a constant that its equations, threshold or statements use"
                raise ParameterError(owner, "train", repr(name), wanted)
        fixed = (needed | used & set(self.stored)) - written
        given = {line.target for line in self.prepared} | set(self.trained.values())
        given |= {"real_", "rand_", "randn_"} | {f"ones_of_{key}" for key in self.needs_ones}
        own = sorted({n for line in self.prepared for n in line.reads} & (fixed | given))
        body = ["def prepare(fixed_):"]
        body += [
            f'    {name} = fixed_["{name}"]'
            for name in own
            if name not in {line.target for line in self.prepared}
        ]
        body += [f'    fixed_["{line.target}"] = {line}' for line in self.prepared]
        body += [] if self.prepared else ["    pass"]
        for phase in phases:
            body += ["", "", *self._function(phase, written, fixed | given, ports)]
        head = [f"# {note}" for note in self.notes] + [str(line) for line in self.constants]
        return Compiled(
            source="\n".join([*head, "", "", *body]) + "\n",
            namespace=self.namespace,
            state={name: self.stored[name] for name in sorted(written)},
            fixed={name: self.stored[name] for name in sorted(fixed)},
            phases=tuple(p.name for p in phases),
            ones=tuple(sorted(self.needs_ones)),
            written={p.name: p.defined() & ports for p in phases},
            passed=self._passed(phases, ports),
        )

    def _passed(self, phases: list[Phase], ports: set[str]) -> dict[str, str]:
        """Ports that are written, and are copies of others."""
        found = {}
        for name in phases[0].defined() & ports if phases else ():
            sources = {phase.passed(name) for phase in phases}
            if len(sources) == 1 and next(iter(sources)) in self.ports:
                found[name] = sources.pop()
        return found

    def _function(
        self, phase: Phase, state: set[str], fixed: set[str], ports: set[str]
    ) -> list[str]:
        lines = [f"def {phase.name}(step_, state_, fixed_, port_):"]
        for name in sorted(phase.loaded):
            if name in state:
                lines.append(f'    {name} = state_["{name}"]')
            elif name in fixed:
                lines.append(f'    {name} = fixed_["{name}"]')
            elif name in ports or name in {f"protocol_{known}" for known in self.context}:
                lines.append(f'    {name} = port_["{name}"]')
        lines += [f"    {line}" for line in phase.lines]
        for name in sorted(phase.defined()):
            if name in state:
                lines.append(f'    state_["{name}"] = {name}')
            elif name in ports:
                lines.append(f'    port_["{name}"] = {name}')
        return lines if len(lines) > 1 else [*lines, "    pass"]


def _plain_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
