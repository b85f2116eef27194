"""Brian2's C++ code objects without what all of them have in common.

Brian2 repeats headers and helper functions in the file of every code object. Here a code object is
its function alone, under a comment that says what it does; helper functions stand once in the
program, those that somebody calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
from brian2.codegen.generators.cpp_generator import CPPCodeGenerator
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.devices.cpp_standalone.codeobject import CPPStandaloneCodeObject
from brian2.devices.cpp_standalone.device import CPPStandaloneDevice
from brian2.devices.device import all_devices, get_device, set_device
from brian2.utils.stringtools import word_substitute

#: The template of pathways that loop over rows and columns instead of lists of synapses.
LOOPS = "synapses_loops"
NAME = "biosnn_cpp"


@attrs.define
class _Function:
    """A helper function: its C++ code, and the code objects that call it."""

    code: str
    callers: set[str] = attrs.field(factory=set)


class Device(CPPStandaloneDevice):
    """Brian2's C++ device, whose code objects share their helper functions."""

    def __init__(self) -> None:
        super().__init__()
        self.comments: Mapping[str, str] = {}
        self._functions: dict[str, _Function] = {}

    def share(self, name: str, code: str, caller: str) -> str:
        """Take a helper function once; those that it calls come before it.

        Returns
        -------
        str
            Its name in the program: another one where a different function has this name, as a
            `TimedArray` is for groups of another time step.
        """
        unique, text, number = name, code, 0
        while self._functions.setdefault(unique, _Function(text)).code != text:
            number += 1
            unique = f"{name}_{number}"
            text = word_substitute(code, {name: unique})
        self._functions[unique].callers.add(caller)
        return unique

    def functions(self) -> Iterator[str]:
        """Code of the helper functions that code objects of the program call."""
        for function in self._functions.values():
            if not function.callers.isdisjoint(self.code_objects):
                yield function.code

    def code_object(
        self, owner: Any, name: str, *arguments: Any, template_kwds: Any = None, **more: Any
    ) -> Any:
        """Make a code object, with a comment above its function."""
        comment = self.comments.get(name.removesuffix("_codeobject*"), name.removesuffix("*"))
        known = {**(template_kwds or {}), "comment": comment}
        return super().code_object(owner, name, *arguments, template_kwds=known, **more)

    def render(self, template: str, **more: Any) -> Any:
        """Fill in a template of the program: a text, or several by their macros' names."""
        return getattr(CPPStandaloneCodeObject.templater, template)(None, None, **more)


class _Generator(CPPCodeGenerator):
    """Leaves helper functions to the device, and finds neurons in loops without a list."""

    universal_support_code = ""

    def __init__(self, *arguments: Any, **more: Any):
        super().__init__(*arguments, **more)
        self._renamed: dict[str, str] = {}

    def _add_user_function(self, varname: str, variable: Any, *more: Any) -> Any:
        found = super()._add_user_function(varname, variable, *more)
        if found is None:
            return None
        defines, pointers, code, functions = found
        name = variable.implementations[self.codeobj_class].name or varname
        if any(code):
            *declared, own = code
            for line in declared:
                self.device.share(line, line, self.name)
            own = word_substitute(own.strip(), self._renamed)
            unique = self.device.share(name, own, self.name)
            if unique != name:
                self._renamed[name] = self.func_name_replacements[varname] = unique
        return defines, pointers, [], functions

    def translate_to_read_arrays(self, read: Any, write: Any, indices: Any) -> list[str]:
        """Declare what code reads; loops know which neurons they are at."""
        known = {}
        if self.template_name == LOOPS:
            stored = self.owner.variables
            for variable, at in (("_synaptic_pre", "_row"), ("_synaptic_post", "_column")):
                same = (n for n in (*indices, *read) if self.variables[n] is stored[variable])
                known |= dict.fromkeys(same, at)
        lines = [f"const int32_t {name} = {known[name]};" for name in sorted(known)]
        left = (set(names).difference(known) for names in (read, indices))
        return lines + super().translate_to_read_arrays(next(left), write, next(left))


def activate(*, generators: bool = False) -> Device:
    """Have Brian2 write C++ with this device and with templates of ours.

    It has to come before any object of a network is made.

    Parameters
    ----------
    generators : bool
        Whether code may draw from random generators of the program.
    """
    CPPStandaloneCodeObject.templater = CPPStandaloneCodeObject.templater.derive(
        "biosnn.devices.cpp"
    )
    CPPStandaloneCodeObject.generator_class = _Generator
    # Without generators, all draws are functions of the seed.
    for function in () if generators else ("rand", "randn"):
        made = DEFAULT_FUNCTIONS[function].implementations
        made.add_implementation(CPPStandaloneCodeObject, code=None, name=f"_{function}")
    all_devices[NAME] = Device()
    set_device(NAME, build_on_run=False)
    device = get_device()
    assert isinstance(device, Device)
    return device


def shared_code() -> str:
    """What Brian2 has in every code object whatever it calls: ``%``, ``//`` and powers."""
    return CPPCodeGenerator.universal_support_code
