"""What schemes for one input share: the input is measured as c t c, and W1 = W1_c + u x^T is given back."""

from __future__ import annotations

from fcsym.certificates.printer import Printer
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import Ref
from fcsym.networks.symbols import SHAPE, SIZE, frozen_pre_activation, norm
from fcsym.schemes.record import SchemeRecord, cut, first_layer, first_pre_activation

__all__ = ["expansion", "measured"]


def expansion(scheme: SchemeRecord, printer: Printer, e: Equation) -> str:
    """The proof that a weight of the first layer is given back: s - s_c = u |x|^2, and |x|^2 = c t c.

    Where the input is 0 nothing has moved; with a bias it counts as an entry of 1, and c and t are not 0.
    """
    assert isinstance(e.lhs, Ref)
    network, name = scheme.network, printer.array(e.array)
    at, i = printer.indices(e.lhs.indices), printer.index(e.lhs.indices[0])
    first = first_pre_activation(network)
    s, start = printer.array(first), printer.array(frozen_pre_activation(first))
    a0, c, t = (printer.array(a) for a in (norm(network.input), SIZE, SHAPE))
    x, u = printer.array(network.input), printer.array(next(iter(scheme.moving)).unprimed)
    meanings = [f"M_{printer.array(theta)}" for theta in first_layer(network)]
    laws = f"rewrite {', '.join(f'?{m}' for m in meanings)}"
    own = {d.array.name: printer.array(d.array) for d in scheme.expand.equations if d.rule is Rule.DEFINITION}
    opened = ", ".join(reversed([n for n in own.values() if n != start]))
    moved = (
        f"assert (S_ : {s} {i} - {start} {i} = {u} {i} * {a0}) by "
        f"(unfold {s}, {s}_of, {start}, {a0}; sums_by ltac:({laws}; leaf))"
    )
    inputs = printer.width(network.input.axes[0])
    if len(first_layer(network)) > 1:
        names = ", ".join([f"B{n}_" for n in range(len(e.lhs.indices) - 1)]).replace(",", "")
        script = (
            f"intros {at} {names}; {moved}; assert (P_ : {c} * {t} * {c} <> 0) by "
            f"(rewrite <- M_{a0}; unfold {a0}; apply Rgt_not_eq; pose proof (sum_squares {inputs} {x}); lra); "
            f"assert (C_ : {c} <> 0) by (intro Z_; apply P_; rewrite Z_; ring); "
            f"assert (T_ : {t} <> 0) by (intro Z_; apply P_; rewrite Z_; ring); "
            f"unfold {opened}; rewrite S_, M_{a0}, M_{name}; field; split; assumption."
        )
    else:
        j = printer.index(e.lhs.indices[1])
        zero = (
            f"assert (X_ : {x} {j} = 0) by (apply (square_zero {inputs} {x} {j} B_); change ({a0} = 0); "
            f"rewrite M_{a0}, Z_; ring)"
        )
        script = (
            f"intros {at} B_; {moved}; unfold {opened}; rewrite M_{name}; "
            f"destruct (Req_EM_T {c} 0) as [Z_|C_]; [{zero}; rewrite X_; ring | rewrite S_, M_{a0}; "
            f"destruct (Req_EM_T {t} 0) as [Z_|T_]; [{zero}; rewrite X_; unfold Rdiv; ring "
            f"| field; split; assumption]]."
        )
    return script


def measured(scheme: SchemeRecord, printer: Printer) -> str:
    """The proof that the squared norm is c t c: the input is scaled by its largest entry, and is 0 where that is."""
    x = scheme.network.input
    width, a0 = printer.width(x.axes[0]), printer.array(norm(x))
    c = printer.array(SIZE)
    way = cut(scheme.init.equations, (x,), (SIZE,))
    below = ", ".join(printer.array(e.array) for e in reversed(way))
    shape = cut(scheme.init.equations, (x, SIZE), (SHAPE,))
    scaled = ", ".join(printer.array(e.array) for e in shape if e.array.axes)
    inner = ", ".join(printer.array(e.array) for e in reversed(shape) if not e.array.axes)
    if len(first_layer(scheme.network)) > 1:
        return (
            f"assert (C_ : {c} <> 0) by (unfold {below}; decisions; apply Rgt_not_eq; lra); "
            f"unfold {inner}, {a0}; sums_by ltac:(unfold {scaled}; first [ring | field; exact C_])."
        )
    return (
        f"unfold {inner}; destruct (Req_EM_T {c} 0) as [Z_|Z_]; [unfold {a0}; transitivity 0; [|ring]; "
        f"rewrite (sum_ext {width} _ (fun _ => 0)); [apply sum_zero | intros i_ B_; "
        f"pose proof (greatest_least {width} (fun i_ => {printer.array(x)} i_) i_ B_); cbv beta in *; "
        f"assert (X_ : {printer.array(x)} i_ = 0) by (revert Z_; unfold {below}; decisions; intros; lra); "
        f"rewrite X_; ring] | unfold {a0}; sums_by ltac:(unfold {scaled}; destruct (Req_EM_T {c} 0); "
        f"[contradiction | first [ring | field; exact Z_]])]."
    )
