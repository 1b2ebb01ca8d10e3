"""Formulas as MathML, from LaTeX, and sentences that contain them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from html import escape
from importlib.util import find_spec

from fcsym.errors import MissingTool

__all__ = ["mathml", "need_mathml", "sentence"]


def need_mathml() -> None:
    """Raise MissingTool where formulas cannot be made for HTML."""
    if find_spec("latex2mathml") is None:
        raise MissingTool("An .html page needs the package latex2mathml: install it with pip install 'fcsym[html]'.")


@cache
def _converted(latex: str, display: str) -> str:
    from latex2mathml.converter import convert

    known = _APART.sub(r"\\\\", _upright(latex).replace("{aligned}", "{align*}"))  # it knows no aligned, no \\[1ex]
    return str(convert(known, display=display))


_APART = re.compile(r"\\\\\[[\d.]+ex\]")


_MATHRM = re.compile(r"\\(?:mathrm|operatorname)\{([^{}]*)\}('*)")


def _upright(latex: str) -> str:
    r"""\mathrm{d}s => \text{d}s: a single letter in an identifier of MathML is italic, in a text it is not."""

    def text_of(found: re.Match[str]) -> str:
        words = found[1].replace(r"\_", "_")  # a text in MathML has no escapes
        return rf"\text{{{words}}}" + ("^{" + r"\prime" * len(found[2]) + "}" if found[2] else "")

    return _MATHRM.sub(text_of, latex)


_MINUS, _SIGNED = (f"<mo>&#x0003D;</mo><mo{form}>&#x02212;</mo>" for form in ("", ' form="prefix"'))
_PRIME = "<mi>&#x02032;</mi>"
_LOW_PRIME = '<mpadded voffset="-.28em" height="-.28em"><mi mathsize="130%">&#x02032;</mi></mpadded>'
"""A prime stands high already, and would stand too high and be too small in a superscript."""


def mathml(latex: str, spoken: str, display: str = "block") -> str:
    """A formula, with its plain text for programs that read no MathML."""
    made = _converted(latex, display).replace(_PRIME, _LOW_PRIME).replace(_MINUS, _SIGNED)
    return made.replace("<math ", f'<math alttext="{escape(" ".join(spoken.split()))}" ', 1)


def sentence(parts: Iterable[tuple[bool, str]]) -> str:
    """A sentence; a comma after a formula stays on its line."""
    found: list[str] = []
    after_formula = False
    for is_math, part in parts:
        if is_math:
            found.append(mathml(part, part, "inline"))
        else:
            kept = part[:1] if after_formula and part[:1] in set(",.;:)") else ""
            if kept:
                found[-1] = f'<span class="keep">{found[-1]}{kept}</span>'
            found.append(escape(part[len(kept) :]).replace("-&gt;", "→"))
        after_formula = is_math
    return "".join(found)
