"""Say which extra of biosnn brings a package that is not installed."""

from __future__ import annotations

from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def extra_with(package: str) -> str | None:
    """Name of an extra of the installed biosnn that requires a package, if there is one."""
    try:
        found = metadata.metadata("biosnn")
    except metadata.PackageNotFoundError:
        return None
    needed = [Requirement(text) for text in found.get_all("Requires-Dist") or ()]
    named = [one for one in needed if canonicalize_name(one.name) == canonicalize_name(package)]
    for extra in found.get_all("Provides-Extra") or ():
        if any(one.marker and one.marker.evaluate({"extra": extra}) for one in named):
            return extra
    return None


def what_is_missing(error: ModuleNotFoundError) -> str | None:
    """A sentence about a package that one of the extras brings; None for any other module."""
    package = (error.name or "").partition(".")[0]
    extra = extra_with(package) if package else None
    if extra is None:
        return None
    return f'this needs {package}, which is not installed: pip install "biosnn[{extra}]"'
