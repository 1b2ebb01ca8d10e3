"""The words in which libraries of arrays differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Dialect"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """The words in which array libraries differ."""

    module: str  # np, jnp, torch
    cast: str  # with {text} and {like}
    axis: str  # the keyword of a sum: axis or dim
    smooth: Mapping[str, str]  # tanh, sigmoid, softplus of {s}
    matvec: str  # of {a} and {b}
    vecmat: str
    vecdot: str
    extreme: str  # the "min" or "max", {kind}, of {text} over its last axis
    false: str  # a mask without a mark, like {like}
    scalar_pair: str = "{value}"  # a literal where both sides of a selection are literals; {like}, {value}
    zeros: str = ""  # an array of {shape}, of the type of Wc1
    constant: str = ""  # an array of {values}, of the type of {like}; without it constants belong to the module
    scalar: str = "{value}"  # the number {value} as an array of the type of {like}
    masked: str = ""  # {value} where {test} holds and 0 elsewhere, of finite numbers; without it, as any selection
    turned: str = ""  # the matrix {a} with rows and columns exchanged
    inverse: str = ""  # the inverse of the matrix {a}, which is symmetric
    less: str = ""  # {a} - {b} where b is a matrix that nothing else needs; without it, as any difference
    times: str = ""  # {a} * {b} where b is a matrix that nothing else needs; without it, as any product
    less_outer: str = ""  # {w} - {a} {b}^T, of a matrix and two vectors; without it, as any difference
    arange: str = ""  # the whole numbers below {n}, on the device of {like}
    as_numbers: str = ""  # the mask {test} as numbers of the type of {like}
    many: str = ""  # what einsum is told where more than two arrays are multiplied
    windows: str = ""  # {a} with axes read at linear forms, as {reads} says
    placed: str = ""  # the terms of {a} along an axis and those of {taps} added up at positions start + step t + ...
    columns: str = ""  # as windows, copied with its axes in {order}; without it, as they come
    summed: str = ""  # the sum of {a} over short {axes}; without it, as any sum
    contracted: str = ""  # two arrays as one product of matrices; without it, by einsum
    capacity: str = ""  # the argument that says how many inputs can be stored; without it rows are added as needed
