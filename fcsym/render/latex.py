r"""LaTeX: a stand-alone document that `pdflatex` compiles in one pass with the packages of a basic installation.

Only `aligned`, `align*` and `cases` are used, which pdflatex, KaTeX, MathJax and latex2mathml read alike. Numbers are
tags and cross references are written out, so that no second pass is needed. Long sums are broken here, by the measured
width of their terms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from fcsym.equation import Branch, Cases, Condition, Equation, Rule, Verdict
from fcsym.expression import Add, Apply, Array, Expr, Mul, Number, Pow, Ref, Total, mul
from fcsym.notation import latex_array

if TYPE_CHECKING:
    from fcsym.derivation import Derivation
    from fcsym.proof import Finding

__all__ = ["document", "equation", "expression", "fragment", "prose"]

_ROWS_PER_TABLE = 18
_LINE = 62  # widths of an ordinary letter that fit on a line beside the number
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
        case Ref(array, indices):
            return latex_array(array, [index.letter for index in indices]), _ATOM
        case Add(terms):
            return _signed([_at(term, _SUM) for term in terms]), _SUM
        case Mul(factors):
            return _product(factors)
        case Pow(base, exponent) if exponent < 0:
            return _fraction([], [Pow(base, -exponent) if exponent < -1 else base]), _ATOM
        case Pow(Ref() as base, exponent):  # never two superscripts on one letter
            return f"{{{_at(base, _ATOM)}}}^{{{exponent}}}", _ATOM
        case Pow(base, exponent):
            return f"{_at(base, _ATOM)}^{{{exponent}}}", _ATOM
        case Total(over, body):
            letters = ",".join(index.letter for index in over)
            return rf"\sum_{{{letters}}} {_at(body, _PRODUCT)}", _PRODUCT
        case Apply(phi, argument, derivative):
            mark = "'" * derivative
            return rf"\operatorname{{{_escape(phi.name)}}}{mark}\left({_latex(argument)[0]}\right)", _ATOM
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
        text = _times(above)
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
    return r" \, ".join(_at(f, _PRODUCT if len(ordered) > 1 else _SUM) for f in ordered)


# -------------------------------------------------------------------------------------------------- equations


def _width(node: Expr) -> float:
    """How wide an expression is on paper, in ordinary letters."""
    match node:
        case Number(value):
            return len(str(value)) if value.denominator == 1 else 2 + 0.5 * len(str(value.denominator))
        case Ref(array, indices):
            upper = (2.5 if array.layer is not None else 0) + (0.5 if array.after else 0)
            base = 2.0 if array.symbol in ("ds", "dv", "dy") else 1.2
            return base + max(upper, 0.7 * len(indices))
        case Add(terms):
            return sum(_width(term) + 2.5 for term in terms)
        case Mul(factors):
            above = sum(_width(f) + (2 if isinstance(f, Add) else 0.3) for f in factors if not _below(f))
            return max(above, sum(_width(f) + 0.3 for f in factors if _below(f)))
        case Pow(base, _):
            return _width(base) + 0.8
        case Total(_, body):
            return 2.5 + _width(body)
        case Apply(phi, argument, _):
            return len(phi.name) + 2 + _width(argument)
    return 1.0


def _below(node: Expr) -> bool:
    return isinstance(node, Pow) and node.exponent < 0


def _lines(node: Expr, room: float) -> list[str]:
    """The expression in lines no wider than `room`, broken at the plus signs of its outermost sum."""
    if not isinstance(node, Add) or _width(node) <= room:
        return [expression(node)]
    lines: list[list[str]] = [[]]
    used = 0.0
    for term in node.terms:
        width = _width(term) + 2.5
        if lines[-1] and used + width > room:
            lines.append([])
            used = 0.0
        lines[-1].append(_at(term, _SUM))
        used += width
    first, *others = (_signed(line) for line in lines)
    return [first, *(f"{{}} - {line[1:]}" if line.startswith("-") else f"{{}} + {line}" for line in others)]


def _condition(condition: Condition) -> str:
    relation = {">": ">", "<=": r"\le", "=": "=", "!=": r"\ne"}[condition.relation]
    return f"{expression(condition.subject)} {relation} {_number(condition.bound)}"


def _row(branch: Branch, room: float) -> tuple[str, str]:
    when = ",\\ ".join(map(_condition, branch.when))
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


def equation(item: Equation) -> str:
    """One equation, without number, for a display."""
    left = expression(item.lhs)
    if isinstance(item.rhs, Apply) and len(item.rhs.activation.pieces) > 1:
        return f"{left} = {expression(item.rhs)} = {_pieces(item.rhs)}"
    if isinstance(item.rhs, Cases):
        conditions = max(sum(_width(c.subject) + 4 for c in branch.when) for branch in item.rhs)
        values = max(_width(branch.value) if branch.value is not None else 6 for branch in item.rhs)
        if conditions + values + _width(item.lhs) + 4 <= _LINE:
            rows = [" & ".join((value, r"\text{if } " + when)) for value, when in (_row(b, 40) for b in item.rhs)]
            return left + r" = \begin{cases} " + r" \\ ".join(rows) + r" \end{cases}"
        room = _LINE - _width(item.lhs) - 8
        stacked = []
        for branch in item.rhs:
            value, when = _row(branch, room)
            stacked.append(rf"{value} \\ \quad\text{{if }} {when}")
        return left + r" = \begin{cases} " + r" \\[1ex] ".join(stacked) + r" \end{cases}"
    lines = _lines(item.rhs, _LINE - _width(item.lhs) - 3)
    if len(lines) == 1:
        return f"{left} = {lines[0]}"
    return rf"\begin{{aligned}} {left} &= " + r" \\ &\quad ".join(lines) + r" \end{aligned}"


# ------------------------------------------------------------------------------------------------------ prose


_SPECIAL = {
    "\\": r"\textbackslash{}", "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip


def _escape(text: str) -> str:
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def prose(text: str, d: Derivation) -> str:
    """A sentence as LaTeX; what stands between backticks is mathematics in ASCII."""
    arrays = {e.name: e.array for e in d.equations if e.defines}
    arrays |= {a.name: a for theta in d.network.parameters for a in (theta, theta.primed)}
    parts = text.split("`")
    return "".join(
        (f"${_formula(part, arrays)}$" if n % 2 else _escape(part).replace("->", r"$\to$"))
        for n, part in enumerate(parts)
    )


_TOKEN = re.compile(r"dE/dy|v\^c|y_g|d[sv]'?|[A-Za-z][A-Za-z]*\d*(?:_new)?|!=|\*|.", re.ASCII | re.DOTALL)
_WORDS = {
    "dE/dy": r"\tfrac{\partial E}{\partial y}", "v^c": r"v^{\mathrm{c}}", "y_g": r"y_{\mathrm{g}}", "!=": r"\ne ",
    "*": r"\cdot ", "eta": r"\eta ", "delta": r"\delta ", "phi": r"\varphi ", "ds": r"\mathrm{d}s",
    "dv": r"\mathrm{d}v", "dv'": r"\mathrm{d}v'", "x": "x",
}  # fmt: skip


def _formula(text: str, arrays: dict[str, Array]) -> str:
    out = []
    for token in _TOKEN.findall(text):
        if token in _WORDS:
            out.append(_WORDS[token])
        elif token in arrays:
            out.append(latex_array(arrays[token]))
        else:
            out.append(token)
    return "".join(out)


def _case_name(name: str) -> str:
    name = _escape(name).replace(r"v\textasciicircum{}c", "v^c")
    name = name.replace("v^c", r"$v^{\mathrm{c}}$").replace("dv'", r"$\mathrm{d}v'$").replace("!=", r"$\ne$")
    return name.replace("->", r"$\to$")


# --------------------------------------------------------------------------------------------------- documents


_SECTIONS: tuple[tuple[str, Callable[[Equation], bool]], ...] = (
    ("The network", lambda e: e.defines and not e.array.after and e.array.symbol in ("s", "v", "y", "E")),
    ("Backpropagation", lambda e: e.rule in (Rule.ADJOINT, Rule.UPDATE) or e.array.symbol == "g"),
    ("Front contribution", lambda e: e.rule in (Rule.INCREMENT, Rule.AFTER, Rule.CASES) or e.array.symbol == "a"),
    ("The compensation", lambda e: e.rule in (Rule.CHOICE, Rule.IDENTITY) or e.array.symbol in ("vc", "r")),
    ("The integrated compensation", lambda e: True),
)


def document(d: Derivation) -> str:
    """A stand-alone document: equations with their reasons, case tables, assumptions, verdicts."""
    numbers = {e.name: n for n, e in enumerate(d.equations, 1)}
    lines = [
        r"\documentclass[11pt,a4paper]{article}",
        r"\usepackage[margin=2.4cm]{geometry}",
        r"\usepackage{amsmath}",
        r"\allowdisplaybreaks \raggedright \raggedbottom \setlength{\parindent}{0pt} \setlength{\parskip}{0.6ex}",
        r"\hbadness=10000 \vbadness=10000",
        r"\begin{document}",
        rf"\section*{{One training step of {_escape(str(d.network))}, {d.order} order}}",
        *_assumptions(d),
    ]
    left = list(d.equations)
    for title, belongs in _SECTIONS:
        mine = [e for e in left if belongs(e)]
        left = [e for e in left if e not in mine]
        if mine:
            lines.append(rf"\subsection*{{{title}}}")
            for e in mine:
                lines += _numbered(e, numbers, d)
    lines += _verdicts(d, numbers)
    return "\n".join([*lines, r"\end{document}", ""])


def _assumptions(d: Derivation) -> list[str]:
    items = [rf"\item {prose(sentence, d)}" for sentence in d.assumptions]
    return [r"\subsection*{Assumptions}", r"\begin{itemize}", *items, r"\end{itemize}"]


_ROWS_PER_DISPLAY = 10
"""A display cannot be broken over pages; a longer case table is several of them."""


def _displays(e: Equation) -> list[str]:
    """The equation, in as many displays as it needs."""
    if not isinstance(e.rhs, Cases):
        return [equation(e)]
    rows = e.rhs.branches
    most = _ROWS_PER_DISPLAY if e.rule is not Rule.INTEGRAL else _ROWS_PER_DISPLAY // 2 + 1
    return [equation(replace(e, rhs=Cases(rows[n : n + most]))) for n in range(0, len(rows), most)]


def _numbered(e: Equation, numbers: dict[str, int], d: Derivation) -> list[str]:
    finding = d.proof.verdict(e.name)
    used = ", ".join(f"({numbers[name]})" for name in e.uses if name in numbers)
    rule = e.rule.value[0].upper() + e.rule.value[1:]
    sentence = [rf"\emph{{{rule}.}} {prose(e.because, d)}"]
    if used:
        sentence.append(f"Uses {used}.")
    if e.cite:
        sentence.append(f"Paper: {_escape(e.cite)}.")
    sentence.append(rf"\textsc{{{finding.verdict.value.lower()}}}.")
    lines = []
    for n, display in enumerate(_displays(e)):
        tag = f"{numbers[e.name]}" if n == 0 else f"{numbers[e.name]}, continued"
        lines += [r"\begin{equation*}", f"{display} \\tag{{{tag}}}", r"\end{equation*}"]
    lines.append(" ".join(sentence))
    if isinstance(e.rhs, Cases):
        rows = [(_case_name(b.name), _verdict(f := d.proof.case(e.name, b.name)), prose(f.note, d)) for b in e.rhs]
        for start in range(0, len(rows), _ROWS_PER_TABLE):
            part = rows[start : start + _ROWS_PER_TABLE]
            lines += ["", *_tabular(("case", "verdict", "remark"), ("4.2cm", "2.4cm", "8cm"), part)]
    return [*lines, ""]


def _verdict(finding: Finding) -> str:
    return rf"\textsc{{{finding.verdict.value.lower()}}}"


def _tabular(head: Sequence[str], widths: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    columns = "".join(rf"p{{{width}}}" for width in widths)
    body = [" & ".join(row) + r" \\" for row in rows]
    return [
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}", " & ".join(head) + r" \\ \hline", *body, r"\end{tabular}",
    ]  # fmt: skip


def _verdicts(d: Derivation, numbers: dict[str, int]) -> list[str]:
    proof = d.proof
    rows = [
        (
            f"({numbers[f.equation]})" + (f" {_case_name(f.case)}" if f.case is not None else ""),
            f.index or "--",
            {"z3": "by z3"}.get(f.expanded, f.expanded) or "--",
            _verdict(f),
        )
        for f in proof.findings
        if f.verdict is not Verdict.DEFINITION and (f.index or f.expanded or f.case is None)
    ]
    counts = ", ".join(f"{proof.count(v)} {v.value.lower()}" for v in Verdict if proof.count(v))
    lines = [
        r"\subsection*{Verdicts}",
        "Every right-hand side was held against what its left-hand side means in the network: in index notation,",
        f"at the network's own widths, and on the instance {_escape(proof.instance)}, {_escape(proof.method)}.",
        f"Together: {counts}.",
        "",
    ]
    for start in range(0, len(rows), _ROWS_PER_TABLE):
        lines += _tabular(
            ("statement", "index notation", "instance", "verdict"), ("5.4cm", "2.6cm", "4.2cm", "2.4cm"),
            rows[start : start + _ROWS_PER_TABLE],
        )  # fmt: skip
        lines.append("")
    return lines


def fragment(d: Derivation) -> str:
    """The equations as one display, for a notebook."""
    return "$$\n\\begin{aligned}\n" + " \\\n".join(f"& {equation(e)}" for e in d.equations) + "\n\\end{aligned}\n$$"
