"""The style of figures: colours, lines and fonts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cycler import cycler
from matplotlib import font_manager, rc_context, rcParams

# Okabe and Ito's palette (https://jfly.uni-koeln.de/color/), without its yellow, which is
# hard to see on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

RC: dict[Any, Any] = {
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "font.size": 10,
    "legend.fontsize": "small",
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "savefig.dpi": 160,
    "xtick.labelsize": "small",
    "ytick.labelsize": "small",
}

# Fonts that hold all of Chinese, Japanese and Korean come first, then those of one language.
CJK_FONTS = (
    *(f"Noto Sans CJK {region}" for region in ("SC", "TC", "HK", "JP", "KR")),
    *(f"Source Han Sans{region}" for region in ("", " SC", " TC", " HK", " K")),
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Arial Unicode MS",
    "PingFang SC",
    "Heiti TC",
    "Microsoft YaHei",
    "SimHei",
    "Noto Sans SC",
    "Droid Sans Fallback",
    "Hiragino Sans",
    "Yu Gothic",
    "Noto Sans JP",
    "IPAexGothic",
    "Apple SD Gothic Neo",
    "Malgun Gothic",
    "NanumGothic",
    "Noto Sans KR",
)
HAS_MINUS = "DejaVu Sans"  # ships with Matplotlib and holds the unicode minus sign


def use_fonts() -> str | None:
    """Add fonts for Chinese, Japanese and Korean to those of Matplotlib.

    The installed fonts of those languages are appended to ``rcParams["font.family"]``, where
    Matplotlib looks up the glyphs that the first font lacks; Latin text keeps its font.
    DejaVu Sans follows as the last resort, so that minus signs render whatever the first
    font is. Without such a font nothing is changed.

    Returns
    -------
    str or None
        The preferred font among those found; None where none is installed.
    """
    installed = set(font_manager.fontManager.get_font_names())
    found = [name for name in CJK_FONTS if name in installed]
    if not found:
        return None
    rcParams["font.family"] = list(dict.fromkeys([*rcParams["font.family"], *found, HAS_MINUS]))
    return found[0]


@contextmanager
def style() -> Iterator[None]:
    """Use biosnn's style inside a ``with`` block; Matplotlib's settings return after it.

    Readable sizes, no chart junk, a colour cycle that colour-blind readers can tell apart and
    the fonts of :func:`use_fonts`. Save inside the block too: ticks are made when drawn.
    """
    with rc_context(RC):
        use_fonts()
        yield
