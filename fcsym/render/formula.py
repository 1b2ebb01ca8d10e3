r"""Formulas: expressions, equations and sentences as LaTeX.

Only `aligned`, `align*` and `cases` are used, which pdflatex, KaTeX, MathJax and latex2mathml read alike. Long sums are
broken here, by the measured width of their terms.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from fcsym.language import smooth_functions
from fcsym.language.equation import Branch, Cases, Condition, Equation
from fcsym.language.expression import (
    Add,
    Apply,
    Array,
    Expr,
    Extreme,
    Indicator,
    Inverse,
    Mul,
    Number,
    Pow,
    Ref,
    Role,
    Total,
    Written,
    mul,
    value_of,
)
from fcsym.language.names import latex_array
from fcsym.language.shifts import shifted

__all__ = [
    "LINE",
    "case_name",
    "condition",
    "conditions",
    "equation",
    "escape",
    "expression",
    "in_numbers",
    "prose",
    "sentence",
    "stacked",
    "value",
    "width",
]

LINE = 62
"""Widths of an ordinary letter that fit on a printed line beside the number."""

_SUM, _PRODUCT, _ATOM = range(3)


# ------------------------------------------------------------------------------------------------ expressions


def expression(node: Expr) -> str:
    """An expression as LaTeX."""
    return _latex(node)[0]


def _latex(node: Expr) -> tuple[str, int]:
    """The text and how tightly its outermost operator binds."""
    match node:
        case Number(value):
            return _number(value), _SUM if value < 0 else _ATOM
        case Written(latex, _, _, atom):
            return latex, _SUM if latex.startswith("-") else _ATOM if atom else _PRODUCT
        case Ref(array, indices):
            return latex_array(array, [index.letter for index in indices]), _ATOM
        case Indicator(index, form):
            return rf"\left[{index.letter} = {form.spelt()}\right]", _ATOM
        case Total() if (moved := shifted(node)) is not None:
            return _latex(moved)
        case Add(terms):
            return _signed([_at(term, _SUM) for term in terms]), _SUM
        case Mul(factors):
            return _product(factors)
        case Pow(base, exponent) if exponent < 0:
            return _fraction([], [Pow(base, -exponent) if exponent < -1 else base]), _ATOM
        case Pow(Ref() | Written(atom=True) as base, exponent):  # never two superscripts on one letter
            return f"{{{_at(base, _ATOM)}}}^{{{exponent}}}", _ATOM
        case Pow(base, exponent):
            return f"{_at(base, _ATOM)}^{{{exponent}}}", _ATOM
        case Total(over, body):
            letters = ",".join(index.letter for index in over)
            return rf"\sum_{{{letters}}} {_at(body, _PRODUCT)}", _PRODUCT
        case Extreme(kind, over, body):
            letters = ",".join(index.letter for index in over)
            return rf"\{kind}_{{{letters}}} {_at(body, _PRODUCT)}", _PRODUCT
        case Inverse(Ref(array, indices)):
            lower = "".join(index.letter for index in indices)
            return rf"\left({latex_array(array)}\right)^{{-1}}_{{{lower}}}", _ATOM
        case Apply(phi, argument, derivative):
            mark = "'" * derivative
            return rf"\operatorname{{{escape(phi.name)}}}{mark}\left({_latex(argument)[0]}\right)", _ATOM
    raise TypeError(f"{node!r} has no LaTeX form.")


def _number(value: Fraction) -> str:
    sign = "-" if value < 0 else ""
    size = abs(value)
    return (
        f"{sign}{size.numerator}"
        if size.denominator == 1
        else rf"{sign}\frac{{{size.numerator}}}{{{size.denominator}}}"
    )


def _at(node: Expr, level: int) -> str:
    text, own = _latex(node)
    return text if own >= level else rf"\left({text}\right)"


def _signed(terms: Sequence[str]) -> str:
    result = terms[0]
    for term in terms[1:]:
        result += f" - {term[1:]}" if term.startswith("-") else f" + {term}"
    return result


def _product(factors: Sequence[Expr]) -> tuple[str, int]:
    sign = ""
    if isinstance(factors[0], Number) and factors[0].value < 0:
        sign = "-"
        factors = [*([] if factors[0].value == -1 else [Number(-factors[0].value)]), *factors[1:]]
    above = [f for f in factors if not (isinstance(f, Pow) and f.exponent < 0)]
    below = [
        Pow(f.base, -f.exponent) if f.exponent < -1 else f.base
        for f in factors
        if isinstance(f, Pow) and f.exponent < 0
    ]
    if below:
        # a factor in parentheses stays beside the fraction, where it can be read
        beside = [f for f in above if isinstance(f, Add)]
        text = _fraction([f for f in above if f not in beside], below) + "".join(f" {_at(f, _PRODUCT)}" for f in beside)
    else:
        text = _at(above[0], _PRODUCT) if sign and len(above) == 1 else _times(above)
    return sign + text, _SUM if sign else _PRODUCT


def _fraction(above: Sequence[Expr], below: Sequence[Expr]) -> str:
    if above and isinstance(above[0], Number):
        number = above[0].value
        above, below = list(above[1:]), list(below)
        if number.numerator != 1:
            above.insert(0, Number(Fraction(number.numerator)))
        if number.denominator != 1:
            below.insert(0, Number(Fraction(number.denominator)))
    return rf"\frac{{{_times(above) or '1'}}}{{{_times(below)}}}"


def _times(factors: Sequence[Expr]) -> str:
    """Sums over indices come last: everything after a sum sign reads as its body."""
    ordered = sorted(factors, key=lambda f: isinstance(f, Total))
    parts = [_at(f, _PRODUCT if len(ordered) > 1 else _SUM) for f in ordered]
    return "".join(part if n == 0 else _glue(part) + part for n, part in enumerate(parts))


def _glue(part: str) -> str:
    """What stands before a further factor: a dot before the digits of a number, which would join others."""
    return r" \cdot " if _DIGITS.match(part) else _THIN


_DIGITS = re.compile(r"\d|\\left\(-[\d.]+(?: \\cdot 10\^\{-?\d+\})?\\right\)")


# -------------------------------------------------------------------------------------------------- equations


_LEFT = {Role.GRADIENT: 6.0, Role.INCREMENT: 2.0}
"""How wide (dE/dW) and dW are in front of what stands above and below them."""


def width(node: Expr) -> float:
    """How wide an expression is on paper, in ordinary letters."""
    match node:
        case Number(value):
            return len(str(value)) if value.denominator == 1 else 2 + 0.5 * len(str(value.denominator))
        case Written(_, wide):
            return wide
        case Ref(array, indices):
            upper = (2.5 if array.layer is not None else 0) + (0.5 if array.after else 0)
            base = _LEFT.get(array.role, 1.2)
            return base + max(upper, 0.7 * len(indices))
        case Indicator(_, form):
            return 3.5 + 0.7 * len(form.spelt())
        case Add(terms):
            return sum(width(term) + 2.5 for term in terms)
        case Mul(factors):
            above = sum(width(f) + (2 if isinstance(f, Add) else 0.3) for f in factors if not _below(f))
            return max(above, sum(width(f) + 0.3 for f in factors if _below(f)))
        case Pow(base, _):
            return width(base) + 0.8
        case Total() if (moved := shifted(node)) is not None:
            return width(moved)
        case Total(_, body):
            return 2.5 + width(body)
        case Extreme(_, _, body):
            return 3.5 + width(body)
        case Inverse():
            return 5.0
        case Apply(phi, argument, _):
            return len(phi.name) + 2 + width(argument)
    return 1.0


def _below(node: Expr) -> bool:
    return isinstance(node, Pow) and node.exponent < 0


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A part of a formula that may begin a line."""

    text: str
    width: float
    glue: str = ""  # what stands before it: " + ", " - ", or the space of a product

    @property
    def opening(self) -> str:
        """The same at the beginning of a line, where the operator must be seen."""
        return f"{{}}{self.glue}{self.text}" if self.glue != _THIN else rf"{{}} \cdot {self.text}"


_THIN = r" \, "


def _chunks(node: Expr, room: float) -> list[_Chunk]:
    """The places where an expression may be broken: at the signs of a sum, and between factors where that is needed."""
    if isinstance(node, Add):
        result: list[_Chunk] = []
        for n, term in enumerate(node.terms):
            first, *others = _chunks(term, room)
            glue = " - " if first.text.startswith("-") else " + "
            text = first.text[1:] if glue == " - " and n else first.text
            result += [_Chunk(text, first.width + 2.5, glue if n else ""), *others]
        return result
    if width(node) <= room:
        return [_Chunk(_at(node, _SUM), width(node))]
    if isinstance(node, Total) and isinstance(node.body, Add):
        letters = ",".join(index.letter for index in node.over)
        return _bracketed(node.body, room, rf"\sum_{{{letters}}} ", 2.5)
    if isinstance(node, Mul):
        return _factors(node.factors, room)
    if isinstance(node, Pow) and isinstance(node.base, Add) and node.exponent > 0:
        return _factors((node,), room)
    return [_Chunk(_at(node, _SUM), width(node))]


def _bracketed(node: Expr, room: float, before: str = "", width: float = 0.0) -> list[_Chunk]:
    r"""A sum in parentheses that may be broken, for which \left and \right are no use."""
    chunks = _chunks(node, room)
    first = chunks[0]
    chunks[0] = _Chunk(rf"{before}\bigl({first.text}", first.width + width + 1, first.glue)
    last = chunks[-1]
    chunks[-1] = _Chunk(rf"{last.text}\bigr)", last.width + 1, last.glue)
    return chunks


def _factors(factors: Sequence[Expr], room: float) -> list[_Chunk]:
    """A product that is too wide: what is short in front, over what is below, and every sum by itself."""
    sums = [
        f for f in factors if isinstance(f, Add) or (isinstance(f, Pow) and isinstance(f.base, Add) and not _below(f))
    ]
    short = mul(*(f for f in factors if f not in sums))
    result: list[_Chunk] = []
    if not (isinstance(short, Number) and abs(short.value) == 1):
        result = [_Chunk(_at(short, _SUM), width(short))]
    for factor in sums:
        base, exponent = (factor.base, factor.exponent) if isinstance(factor, Pow) else (factor, 1)
        if width(base) + 2 <= room:
            part = [_Chunk(_at(factor, _PRODUCT), width(factor) + 2)]
        else:
            part = _bracketed(base, room)
            if exponent != 1:
                part[-1] = _Chunk(f"{part[-1].text}^{{{exponent}}}", part[-1].width + 0.8, part[-1].glue)
        if result:
            part[0] = _Chunk(part[0].text, part[0].width, _THIN)
        elif isinstance(short, Number) and short.value < 0:
            part[0] = _Chunk(f"-{part[0].text}", part[0].width + 1, part[0].glue)
        result += part
    return result


def _lines(node: Expr, room: float) -> list[str]:
    """The expression in lines no wider than `room`."""
    if width(node) <= room:
        return [expression(node)]
    lines: list[str] = []
    used = 0.0
    for chunk in _chunks(node, room):
        if lines and used + chunk.width <= room:
            lines[-1] += chunk.glue + chunk.text
            used += chunk.width
        else:
            lines.append(chunk.opening if lines else chunk.text)
            used = chunk.width
    return lines


def condition(item: Condition) -> str:
    """`s1[i] > 0` as LaTeX."""
    relation = {">": ">", "<=": r"\le", "=": "=", "!=": r"\ne"}[item.relation]
    return f"{expression(item.subject)} {relation} {_number(item.bound)}"


def conditions(items: Sequence[Condition]) -> str:
    """Conditions that must all hold, as LaTeX."""
    return ",\\ ".join(map(condition, items))


def _row(branch: Branch, room: float) -> tuple[str, str]:
    when = conditions(branch.when)
    if branch.value is None:
        return r"\text{undefined}", when
    lines = _lines(branch.value, room)
    value = lines[0] if len(lines) == 1 else r"\begin{aligned} &" + r" \\ &".join(lines) + r" \end{aligned}"
    return value, when


def _pieces(node: Apply) -> str:
    """phi(s) or phi'(s) piece by piece, with the declared slope at a kink where it differs from the piece's own."""
    s, phi = node.argument, node.activation
    rows = []
    for n in range(len(phi.pieces) - 1, -1, -1):
        piece, lower = phi.pieces[n], phi.kinks[n - 1] if n else None
        value = Number(piece.slope) if node.derivative else mul(piece.slope, s) + piece.intercept
        kink = phi.kink_slopes[n] if node.derivative and piece.upper is not None else piece.slope
        split = kink != piece.slope
        bounds = [f"{_number(lower)} <" if lower is not None else "", expression(s)]
        if piece.upper is not None:
            relation = "<" if split else r"\le"
            bounds.append(f"{relation} {_number(piece.upper)}")
        if split and piece.upper is not None:
            rows.append(f"{_number(kink)} & \\text{{if }} {expression(s)} = {_number(piece.upper)}")
        rows.append(f"{expression(value)} & \\text{{if }} {' '.join(part for part in bounds if part)}")
    return r"\begin{cases} " + r" \\ ".join(rows) + r" \end{cases}"


def _smooth(node: Apply) -> str:
    """phi(s), or phi'(s) with the array that holds phi(s)."""
    s, v = expression(node.argument), expression(value_of(node))
    return smooth_functions.latex(node.activation, node.derivative, s, v)


def value(node: Expr, room: float = LINE) -> str:
    """An expression for a display, in as many lines as it needs."""
    lines = _lines(node, room)
    return lines[0] if len(lines) == 1 else r"\begin{aligned} &" + r" \\ &".join(lines) + r" \end{aligned}"


def equation(item: Equation, line: float = LINE) -> str:
    """One equation, without number, for a display."""
    left = expression(item.lhs)
    if isinstance(item.rhs, Apply) and len(item.rhs.activation.pieces) > 1:
        return f"{left} = {expression(item.rhs)} = {_pieces(item.rhs)}"
    if isinstance(item.rhs, Apply) and item.rhs.activation.is_smooth:
        return f"{left} = {expression(item.rhs)} = {_smooth(item.rhs)}"
    if isinstance(item.rhs, Cases):
        widest = max(sum(width(c.subject) + 4 for c in branch.when) for branch in item.rhs)
        values = max(width(branch.value) if branch.value is not None else 6 for branch in item.rhs)
        if widest + values + width(item.lhs) + 4 <= line:
            rows = [" & ".join((value, r"\text{if } " + when)) for value, when in (_row(b, 40) for b in item.rhs)]
            apart = r" \\[0.8ex] " if any(r"\frac" in row for row in rows) else r" \\ "
            return left + r" = \begin{cases} " + apart.join(rows) + r" \end{cases}"
        room = line - width(item.lhs) - 8
        rows = [rf"{value} \\ \quad\text{{if }} {when}" for value, when in (_row(b, room) for b in item.rhs)]
        return left + r" = \begin{cases} " + r" \\[1ex] ".join(rows) + r" \end{cases}"
    return stacked([item], line)


def stacked(items: Sequence[Equation], line: float = LINE) -> str:
    """Equations without cases below each other, their equals signs lined up."""
    rows = []
    for item in items:
        assert isinstance(item.rhs, Expr)
        first, *others = _lines(item.rhs, line - width(item.lhs) - 3)
        rows += [(f"{expression(item.lhs)} ", f"= {first}"), *(("", rf"\quad {text}") for text in others)]
    if len(rows) == 1:
        return "".join(rows[0])
    return r"\begin{aligned} " + r" \\ ".join(f"{left}&{right}" for left, right in rows) + r" \end{aligned}"


def in_numbers(items: Sequence[Sequence[Expr]]) -> str:
    """Chains a = b = c below each other, each link on its own line where the chain is too long for one."""
    rows: list[str] = []
    for left, *links in items:
        short = sum(width(link) + 3 for link in (left, *links)) <= LINE
        texts = [_lines(link, LINE - width(left) - 3) for link in links]
        if short:
            rows.append(rf"{expression(left)} &= {' = '.join(text for (text,) in texts)}")
            continue
        for n, (first, *others) in enumerate(texts):
            rows.append(rf"{expression(left) if n == 0 else ''} &= {first}")
            rows += [rf" &\quad {text}" for text in others]
    return r"\begin{aligned} " + r" \\ ".join(rows) + r" \end{aligned}"


# ------------------------------------------------------------------------------------------------------ prose


_SPECIAL = {
    "\\": r"\textbackslash{}", "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip


def escape(text: str) -> str:
    """Plain text as LaTeX that prints it."""
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def sentence(text: str, arrays: Mapping[str, Array]) -> list[tuple[bool, str]]:
    """A sentence in parts: (False, plain text) and (True, LaTeX); what stands between backticks is mathematics."""
    parts = ((bool(n % 2), part) for n, part in enumerate(text.split("`")) if part)
    return [(is_math, _formula(part, arrays) if is_math else part) for is_math, part in parts]


def prose(text: str, arrays: Mapping[str, Array]) -> str:
    """A sentence as LaTeX."""
    return "".join(
        f"${part}$" if is_math else escape(part).replace("->", r"$\to$") for is_math, part in sentence(text, arrays)
    )


_TOKEN = re.compile(r"dE/dy|v\^c|y_g|d[sv]'?|[A-Za-z][A-Za-z]*\d*(?:_new)?|!=|\*|.", re.ASCII | re.DOTALL)
_WORDS = {
    "dE/dy": r"\tfrac{\partial E}{\partial y}", "v^c": r"v^{\mathrm{c}}", "y_g": r"y_{\mathrm{g}}", "!=": r"\ne ",
    "*": r"\cdot ", "eta": r"\eta ", "delta": r"\delta ", "phi": r"\varphi ", "ds": r"\mathrm{d}s",
    "dv": r"\mathrm{d}v", "dv'": r"\mathrm{d}v'", "x": "x",
    **{function: rf"\mathrm{{{function}}}" for function in ("init", "step", "output", "expand")},
}  # fmt: skip


def _formula(text: str, arrays: Mapping[str, Array]) -> str:
    if text in arrays:  # dE_dT, in one piece
        return latex_array(arrays[text])
    out = []
    for token in _TOKEN.findall(text):
        if token in _WORDS:
            out.append(_WORDS[token])
        elif token in arrays:
            out.append(latex_array(arrays[token]))
        else:
            out.append(_SPECIAL[token] if token in "\\%&#$~{}" else token)
    return "".join(out)


_CASE = re.compile(r"(v\^c|dv'|!=)", re.ASCII)


def case_name(name: str) -> list[tuple[bool, str]]:
    """The name of a case in parts, as `sentence` gives them."""
    return [(bool(n % 2), _WORDS[part] if n % 2 else part) for n, part in enumerate(_CASE.split(name)) if part]
