"""What a validation returns for one check: a figure, what it is held to, and whether it holds."""

from __future__ import annotations

from typing import Any


def check(value: float, bound: float, ok: bool | None = None, **more: Any) -> dict[str, Any]:
    """A figure and its bound, from above unless ``ok`` says whether it holds."""
    verdict = value <= bound if ok is None else ok
    return {"value": float(value), "bound": float(bound), "ok": bool(verdict), **more}


def at_least(value: float, bound: float) -> dict[str, Any]:
    """A figure that must not be below its bound."""
    return check(value, bound, value >= bound)
