"""C99: loops over the elements, in the order and with the operations of the neutral form.

    for (i = 0; i < 2; i++) {
        real sum = W1[i * 2] * x[0];
        ...
        s1[i] = sum;
    }

A step works in place: a new value takes the place of the old one as soon as no later statement reads that, and
statements are moved down where this makes it possible. The same text serves single networks (`real`) and, inside a
process, as many networks as a vector register has lanes (`vec`), with selections by mask instead of branches.

Temporaries stand on the stack as long as they are few (`STACK` numbers). A function that needs more has all of its
arrays in memory that its caller gives it, so that no stack grows with a width. Products of matrices are computed by
tiles (`c_products`), or by CBLAS where a file is compiled so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from math import prod

from fcsym.errors import CompileError
from fcsym.kernel import neutral as n
from fcsym.kernel.targets.arrays import literal
from fcsym.kernel.targets.c_memory import Amount, Room
from fcsym.kernel.targets.c_parts import PART, in_parts, wrapped
from fcsym.kernel.targets.c_products import TILE, Products, reduces
from fcsym.kernel.targets.c_sums import nested_extreme, nested_sum
from fcsym.kernel.targets.c_windows import Windows
from fcsym.kernel.targets.c_words import remember_text
from fcsym.language.expression import Axis, Index

__all__ = ["core_text", "lengths_of", "parameters_of", "refuse_large", "room_of", "scalar_text", "takes_rows"]

_SUM, _PRODUCT, _ATOM = range(3)
_LARGEST = 2**31 - 1  # an int counts the numbers of an array
_COLUMNS = 8  # from this many elements on, a sum over rows runs along the columns, which the machine can do together


def parameters_of(function: n.Function, module: n.Module) -> list[tuple[str, str]]:
    """(C name, declaration) of every array that the core of a function takes, in order: what is given, then results.

    A step has its state in place, so its results are no parameters of their own.
    """
    in_place = function.name == "step"
    changed = _changed(function) if in_place else {}
    given = {array.name for array in function.given}
    result = []
    for array in function.given:
        own = array.name in changed or (module.stored and in_place and array.name in ("X", "C"))
        result.append((array.name, f"{'' if own else 'const '}real *RESTRICT {array.name}"))
    if not in_place:
        for array in function.results:
            name = f"{array.name}_out" if array.name in given else array.name
            result.append((name, f"real *RESTRICT {name}"))
    return result


def _changed(function: n.Function) -> dict[str, str]:
    """State array => the name of its new value, where there is one."""
    defined = {s.name for s in function.statements if isinstance(s, n.Define)}
    pairs = zip(function.given, function.results, strict=False)
    return {old.name: new.name for old, new in pairs if new.name in defined}


# --------------------------------------------------------------------------------------------------- in place


@dataclass(frozen=True, slots=True)
class _Plan:
    """The statements of a step in an order that lets new values take the place of old ones."""

    statements: tuple[n.Statement, ...]
    alias: Mapping[str, str]  # new value => the array whose place it takes
    copies: tuple[tuple[str, str], ...]  # (old, new): new values that need a place of their own, copied at the end


def _plan(function: n.Function) -> _Plan:
    """Move each new value below the last statement that reads the old one, where nothing in between reads the new."""
    statements = list(function.statements)
    alias: dict[str, str] = {}
    copies = []
    for old, new in _changed(function).items():
        at = next(k for k, s in enumerate(statements) if isinstance(s, n.Define) and s.name == new)
        define = statements[at]
        assert isinstance(define, n.Define)
        own = all(load.indices == define.indices for load in n.loads(define) if load.name == old)
        readers = [k for k, s in enumerate(statements) if k != at and any(load.name == old for load in n.loads(s))]
        users = [k for k, s in enumerate(statements) if any(load.name == new for load in n.loads(s))]
        last = max([at, *readers])
        inputs = {load.name for load in n.loads(define)} & set(alias.values())
        # what it reads must still be there: an array whose place has been taken in between is not
        moved = any(isinstance(s, n.Define) and alias.get(s.name) in inputs for s in statements[at + 1 : last + 1])
        if not own or moved or any(k <= last for k in users):
            copies.append((old, new))
            continue
        statements.insert(last, statements.pop(at))
        alias[new] = old
    return _Plan(tuple(statements), alias, tuple(copies))


# ------------------------------------------------------------------------------------------------------ memory


def room_of(function: n.Function, module: n.Module, lanes: bool = False) -> Room:
    """What a function needs besides its arguments."""
    writer = _Writer(module, function, lanes, {})
    shared, strips = writer.shared()
    local = [writer.amount(function.axes[name]) for name in _temporaries(function, module)]
    return Room(sum((*shared.values(), *local), Amount()), strips)


def _temporaries(function: n.Function, module: n.Module) -> list[str]:
    """The arrays that a function makes and nobody else has, in order; not those that take the place of another."""
    given = {c_name for c_name, _ in parameters_of(function, module)}
    alias = _plan(function).alias if function.name == "step" else {}
    defined = [s.name for s in function.statements if isinstance(s, n.Define)]
    return [name for name in defined if name not in given and name not in alias and function.axes[name]]


def takes_rows(function: n.Function) -> bool:
    """Whether a function is told how many inputs are stored."""
    return any(axis.open for axes in function.axes.values() for axis in axes)


def lengths_of(function: n.Function) -> list[str]:
    """What a function is told of the lengths of axes, besides how many rows there are."""
    used = {axis for axes in function.axes.values() for axis in axes}
    return [length for axis, length in function.lengths.items() if axis in used]


def refuse_large(module: n.Module) -> None:
    """CompileError for an array of more numbers than C counts here."""
    for function in module.functions:
        for name, axes in function.axes.items():
            size = prod(module.sizes.get(axis, 1) for axis in axes)
            if size > _LARGEST:
                raise CompileError(
                    f"{name} of {module.network} has {size} numbers, and C counts at most {_LARGEST}: take narrower "
                    'layers, or compile("numpy").'
                )


# --------------------------------------------------------------------------------------------------- printing


@dataclass(slots=True)
class _Writer:
    module: n.Module
    function: n.Function
    lanes: bool
    places: dict[str, str]  # array => C name
    scalars: set[str] = field(default_factory=set)  # which of them are variables and no arrays
    lines: list[str] = field(default_factory=list)
    depth: int = 1
    numbers: count[int] = field(default_factory=lambda: count(1))
    cblas: bool = False  # whether products by CBLAS are printed as well

    @property
    def type(self) -> str:
        return "vec" if self.lanes else "real"

    @property
    def products(self) -> Products:
        return Products(self)

    @property
    def windows(self) -> Windows:
        return Windows(self)

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    # ---------------------------------------------------------------------------------------------- statements

    def define(self, statement: n.Define) -> None:
        """Every element of one array."""
        if grouped := self.windows.of(statement):
            self.windows.define(statement, *grouped)
            return
        if products := self.products.of(statement):
            self.products.define(statement, products)
            return
        name, indices = statement.name, statement.indices
        sums: dict[n.Node, str] = {}
        columns: dict[n.Reduce, str] = {}
        for reduce in reduces(statement.value):
            own = f"sum{next(self.numbers)}"
            if isinstance(reduce, n.Reduce) and self._along_columns(reduce, indices):
                columns[reduce] = own
            else:
                sums[reduce] = own
        at = 0
        for reduce, own in columns.items():
            self._sum_along_columns(reduce, own, indices, at)
            at += self.module.sizes[indices[0].axis]
        where = {index: self.letter(index) for index in indices}
        self.open(indices)
        for node, own in sums.items():
            if isinstance(node, n.Extreme):
                self.extreme(node, own, where)
            elif isinstance(node, n.Reduce):
                self.sum(node, own, where)
        known: dict[n.Node, str] = dict(sums)
        known |= {r: f"{own}[{where[indices[-1]]}]" for r, own in columns.items()}
        value = self.text(statement.value, where, known)[0]
        if self.lanes and isinstance(statement.value, n.Const | n.Undefined):
            value = f"all({value})"
        self.line(f"{self.element(name, indices, where)} = {value};")
        self.close(indices)

    def mark(self, statement: n.Mark) -> None:
        """The status says that something is undefined."""
        if not statement.guard:
            return
        where = {index: self.letter(index) for index in statement.indices}
        self.open(statement.indices)
        guard = self.guard(statement.guard, where)
        self.line(f"undefined |= {guard};" if self.lanes else f"status |= {guard} ? UNDEFINED : 0;")
        self.close(statement.indices)

    def copy(self, target: str, source: str, axes: tuple[Axis, ...]) -> None:
        """target = source, element by element."""
        size = self.size(axes)
        if source in self.scalars:
            self.line(f"{target}[0] = {source};")
            return
        self.line(f"for (int i = 0; i < {size}; i++) {{")
        self.line(f"    {target}[i] = {source}[i];")
        self.line("}")

    def size(self, axes: tuple[Axis, ...]) -> str:
        """How many numbers an array has, as C text."""
        lengths = self.function.lengths
        known = prod(self.module.sizes[axis] for axis in axes if not axis.open and axis not in lengths)
        factors = ["rows"] * sum(axis.open for axis in axes) + [lengths[axis] for axis in axes if axis in lengths]
        factors += [str(known)] * (known != 1)
        return " * ".join(factors) or "1"

    def amount(self, axes: tuple[Axis, ...]) -> Amount:
        """How many numbers an array has, at most."""
        known = prod(self.module.sizes[axis] for axis in axes if not axis.open)
        degree = sum(axis.open for axis in axes)
        return Amount(*(known if k == degree else 0 for k in range(3)))

    def open(self, indices: tuple[Index, ...], names: Mapping[Index, str] | None = None) -> None:
        for index in indices:
            letter = names[index] if names else self.letter(index)
            self.line(f"for (int {letter} = 0; {letter} < {self.size((index.axis,))}; {letter}++) {{")
            self.depth += 1

    def close(self, indices: tuple[Index, ...]) -> None:
        for _ in indices:
            self.depth -= 1
            self.line("}")

    def letter(self, index: Index) -> str:
        return f"{index.letter}_" if index.letter in self.function.axes else index.letter

    # ------------------------------------------------------------------------------------------------- sums

    def _along_columns(self, reduce: n.Reduce, indices: tuple[Index, ...]) -> bool:
        """Whether the free index, and not the summed one, runs along the rows of a matrix."""
        if n.without_indicators(reduce.body)[0] or reduces(reduce.body):
            return False
        if self.lanes or len(indices) != 1 or len(reduce.over) != 1 or self.size((indices[0].axis,)) == "rows":
            return False
        if self.module.sizes[indices[0].axis] < _COLUMNS:
            return False
        return any(load.indices == (reduce.over[0], indices[0]) for load in n.loads(reduce.body))

    def _columns_at_most(self) -> int:
        """How many numbers all sums along columns of one statement need at once, at most."""
        most = 0
        for s in self.function.statements:
            if isinstance(s, n.Define):
                mine = [r for r in reduces(s.value) if isinstance(r, n.Reduce) and self._along_columns(r, s.indices)]
                most = max(most, sum(self.module.sizes[s.indices[0].axis] for _ in mine))
        return most

    def shared(self) -> tuple[dict[str, Amount], Amount]:
        """Memory that statements use one after another, by name; and that of the strips of products by CBLAS."""
        memory, strips = self.products.memory(self.function)
        every = {**memory, **self.windows.memory(self.function), "sums": Amount(self._columns_at_most())}
        return {name: amount for name, amount in every.items() if amount}, strips

    def _sum_along_columns(self, reduce: n.Reduce, own: str, indices: tuple[Index, ...], at: int) -> None:
        (index,), (over,) = indices, reduce.over
        letter = self.letter(over)
        self.line(f"real *const {own} = sums{f' + {at}' if at else ''};")
        stored = over.axis.open
        where = {index: self.letter(index)}
        self.open(indices)
        first = "(real)0.0" if stored else self.text(reduce.body, {**where, over: "0"}, {})[0]
        self.line(f"{own}[{where[index]}] = {first};")
        self.close(indices)
        start, end = int(not stored), self.size((over.axis,))
        if end == "1":
            return
        self.line(f"for (int {letter} = {start}; {letter} < {end}; {letter}++) {{")
        self.depth += 1
        self.open(indices)
        self.line(f"{own}[{where[index]}] += {self.at(reduce.body, {**where, over: letter}, {}, _PRODUCT)};")
        self.close(indices)
        self.depth -= 1
        self.line("}")

    def sum(self, reduce: n.Reduce, own: str, where: Mapping[Index, str]) -> None:
        """The sum as a variable, for one element."""
        if len(reduce.over) != 1 or reduces(reduce.body) or n.without_indicators(reduce.body)[0]:
            nested_sum(self, reduce, own, where)
            return
        over = reduce.over[0]
        letter, end = self.letter(over), self.size((over.axis,))
        stored = over.axis.open
        first = self._zero if stored else self.text(reduce.body, {**where, over: "0"}, {})[0]
        self.line(f"{self.type} {own} = {first};")
        if end == "1":
            return
        self.line(f"for (int {letter} = {int(not stored)}; {letter} < {end}; {letter}++) {{")
        self.line(f"    {own} += {self.at(reduce.body, {**where, over: letter}, {}, _PRODUCT)};")
        self.line("}")

    @property
    def _zero(self) -> str:
        return "all((real)0.0)" if self.lanes else "(real)0.0"

    @staticmethod
    def _holds(node: n.Indicator, where: Mapping[Index, str]) -> str:
        return f"{where[node.index]} == {node.form.spelt(' * ', where)}"

    def extreme(self, node: n.Extreme, own: str, where: Mapping[Index, str]) -> None:
        """The least or greatest term as a variable, for one element."""
        if len(node.over) != 1 or any(map(reduces, node.terms)):
            nested_extreme(self, node, own, where)
            return
        (over,), (body,) = node.over, node.terms
        letter, end = self.letter(over), self.size((over.axis,))
        self.line(f"{self.type} {own} = {self.text(body, {**where, over: '0'}, {})[0]};")
        if end == "1":
            return
        test = f"next {'<' if node.kind == 'min' else '>'} {own}"
        self.line(f"for (int {letter} = 1; {letter} < {end}; {letter}++) {{")
        self.line(f"    const {self.type} next = {self.text(body, {**where, over: letter}, {})[0]};")
        self.line(f"    {own} = {self.choice(f'(mask)({test})' if self.lanes else test, 'next', own)};")
        self.line("}")

    # ------------------------------------------------------------------------------------------ expressions

    def element(self, name: str, indices: tuple[Index, ...], where: Mapping[Index, str]) -> str:
        """W1[i * 2 + j]."""
        place = self.places.get(name, name)
        if name in self.scalars:
            return place
        text = "0"
        for index in indices:
            at, size = where[index], self.size((index.axis,))
            text = f"({text})" if " " in text else text
            text = at if text == "0" else f"{text} * {size}" + (f" + {at}" if at != "0" else "")
        return f"{place}[{text}]"

    def text(self, node: n.Node, where: Mapping[Index, str], known: Mapping[n.Node, str]) -> tuple[str, int]:
        """(text, how tightly its outermost operator binds)."""
        match node:
            case n.Const(value):
                return f"(real){literal(value)}", _ATOM
            case n.Undefined():
                return "NOT_A_NUMBER", _ATOM
            case n.Load(name, indices):
                return self.element(name, indices, where), _ATOM
            case n.Sum(terms):
                text = ""
                for sign, term in terms:
                    own = self.at(term, where, known, _SUM if sign > 0 and not text else _PRODUCT)
                    text += own if sign > 0 and not text else f"-{own}" if not text else f" {'-+'[sign > 0]} {own}"
                return text, _SUM
            case n.Product(factors):
                every = [self.at(f, where, known, _ATOM if k else _PRODUCT) for k, f in enumerate(factors)]
                return " * ".join(every), _PRODUCT
            case n.Power(base, exponent):
                return " * ".join([self.at(base, where, known, _ATOM)] * exponent), _PRODUCT
            case n.Quotient(above, below):
                return f"{self.at(above, where, known, _PRODUCT)} / {self.at(below, where, known, _ATOM)}", _PRODUCT
            case n.Indicator():
                test = f"(real)({self._holds(node, where)})"
                return (f"all({test})" if self.lanes else test), _ATOM
            case n.Reduce():
                return known[node], _ATOM
            case n.Extreme():
                return known[node], _ATOM
            case n.Select(test, then, otherwise):
                return self.choice(self.test(test, where), self.whole(then, where, known),
                                    self.whole(otherwise, where, known)), _ATOM  # fmt: skip
            case n.Guarded(above, below, guard):
                mask = self.guard(guard, where)
                if self.lanes:
                    a, b = self.whole(above, where, known), self.whole(below, where, known)
                    zero, one = "all((real)0.0)", "all((real)1.0)"
                    return f"{self.choice(mask, a, zero)} / {self.choice(mask, b, one)}", _PRODUCT
                a, b = self.at(above, where, known, _PRODUCT), self.at(below, where, known, _ATOM)
                return f"({mask} ? {a} / {b} : (real)0.0)", _ATOM
            case n.Call(function, argument):
                argument_text = self.text(argument, where, known)[0]
                return f"{function}_{'lanes' if self.lanes else 'of'}({argument_text})", _ATOM
            case _:
                raise CompileError(f"{type(node).__name__} has no C form.")

    def at(self, node: n.Node, where: Mapping[Index, str], known: Mapping[n.Node, str], level: int) -> str:
        """The text of a node, in brackets where its operator binds too loosely."""
        text, own = self.text(node, where, known)
        return text if own >= level else f"({text})"

    def whole(self, node: n.Node, where: Mapping[Index, str], known: Mapping[n.Node, str]) -> str:
        """The text of a node as an argument: a literal becomes as wide as the lanes."""
        text = self.text(node, where, known)[0]
        return f"all({text})" if self.lanes and isinstance(node, n.Const | n.Undefined) else text

    def choice(self, test: str, then: str, otherwise: str) -> str:
        return f"pick({test}, {then}, {otherwise})" if self.lanes else f"({test} ? {then} : {otherwise})"

    def test(self, test: n.Test, where: Mapping[Index, str]) -> str:
        left = self.at(test.left, where, {}, _ATOM)
        bound = f"(real){literal(test.bound)}"
        if self.lanes:
            return f"(mask)({left} {test.relation} all({bound}))"
        return f"{left} {test.relation} {bound}"

    def guard(self, guard: n.Guard, where: Mapping[Index, str]) -> str:
        both, either = (" & ", " | ") if self.lanes else (" && ", " || ")
        rows = []
        for row in guard:
            tests = [self.test(test, where) for test in row]
            rows.append(tests[0] if len(tests) == 1 else both.join(f"({test})" for test in tests))
        return f"({rows[0] if len(rows) == 1 else either.join(f'({row})' for row in rows)})"


def core_text(
    function: n.Function, module: n.Module, name: str, lanes: bool = False, cblas: bool = False, parts: bool = False
) -> str:
    """static int name(arrays): the function on one network, or on as many as there are lanes.

    With `parts`, a long one becomes a row of functions, for which compilers need less time than for one of that length.
    """
    writer = _Writer(module, function, lanes, {}, cblas=cblas)
    parts = parts and len(function.statements) + len(function.results) > PART
    step = function.name == "step"
    plan = _plan(function) if step else _Plan(function.statements, {}, ())
    parameters = parameters_of(function, module)
    taken = {c_name for c_name, _ in parameters}
    writer.places |= plan.alias
    defined = {s.name for s in function.statements if isinstance(s, n.Define)}
    arguments = [declaration.replace("real", writer.type) for _, declaration in parameters]
    room = room_of(function, module, lanes)
    if takes_rows(function):
        arguments.append("int rows")
    arguments += [f"int {length}" for length in lengths_of(function)]
    if room:
        arguments.append(f"{writer.type} *RESTRICT work")
    if lanes and function.marks:
        arguments.append("mask *RESTRICT undefined_lanes")
    shared, strips = writer.shared()
    sizes = shared | {local: writer.amount(function.axes[local]) for local in _temporaries(function, module)}
    before = [Amount(room.given.fixed), Amount(room.given.fixed, room.given.per_row)]
    used = Amount()
    for local, amount in sizes.items():
        if amount.fixed and not room.outside:
            writer.line(f"{writer.type} {local}[{amount.fixed}];")
            continue
        degree = 0 if amount.fixed else 1 if amount.per_row else 2
        own = Amount(*(part if k == degree else 0 for k, part in enumerate(used.parts)))
        place = own + before[degree - 1] if degree else own
        writer.line(f"{writer.type} *RESTRICT const {local} = {place.behind('work')};")
        used += amount
    if strips and cblas:
        writer.lines.append("#if defined(FCSYM_CBLAS)")
        writer.line(f"{writer.type} *RESTRICT const strip = {room.given.behind('work')};")
        for local in shared:
            writer.line(f"(void){local};")
        writer.lines.append("#endif")
    for local in (s.name for s in function.statements if isinstance(s, n.Define)):
        if local not in taken and local not in plan.alias and not function.axes[local]:
            writer.line(f"{writer.type} {local}{'[1]' * parts};")
            writer.scalars |= set() if parts else {local}
    if function.marks:
        writer.line("mask undefined = (mask){0};" if lanes else "int status = 0;")
    for constant, values in module.constants.items():
        if any(load.name == constant for s in function.statements for load in n.loads(s)):
            numbers = ", ".join(f"(real){literal(value)}" for value in n.flat(values))
            writer.line(f"static const real {constant}[] = {{{numbers}}};")  # a wide one would not fit on the stack
    ends = [len(writer.lines)]  # of the statements, one after the other
    for statement in plan.statements:
        if isinstance(statement, n.Mark):
            writer.mark(statement)
        else:
            writer.define(statement)
        ends.append(len(writer.lines))
    for old, new in plan.copies:
        writer.copy(old, new, function.axes[new])
        ends.append(len(writer.lines))
    if not step:
        given = {array.name for array in function.given}
        for array in function.results:
            ends.append(len(writer.lines))
            if array.name in given:
                writer.copy(f"{array.name}_out", array.name, array.axes)
            elif array.name not in defined:  # nothing is stored yet
                writer.line(f"for (int i = 0; i < {writer.size(array.axes)}; i++) {{")
                writer.line(f"    {array.name}[i] = (real)0.0;")
                writer.line("}")
    ends.append(len(writer.lines))
    outside = in_parts(writer.lines, ends, name, arguments) if parts else ""
    read = {load.name for s in function.statements for load in n.loads(s)}
    passed = {array.name for array in function.results} if not step else set()
    for c_name, _ in parameters:
        if c_name not in read and c_name not in passed and c_name not in defined and not c_name.endswith("_out"):
            if step and c_name in _changed(function):
                continue
            writer.line(f"(void){c_name};")
    if lanes and function.marks:
        writer.line("*undefined_lanes |= undefined;")
    writer.line("return status;" if function.marks and not lanes else "return 0;")
    comment = "\n".join(f" * {line}" for equation in function.equations for line in equation.splitlines())
    head = f"/* {function.title}\n{f' *{chr(10)}{comment}{chr(10)}' if comment else ''} */\n"
    if lanes:
        head = ""
    signature = f"static int {name}(\n    {', '.join(arguments)})"
    return f"{outside}{head}{wrapped(signature)}\n{{\n" + "\n".join(writer.lines) + "\n}\n"


def scalar_text(module: n.Module, cblas: bool = False, parts: bool = False) -> str:
    """The four functions on one network; with `cblas`, as text that is for CBLAS where it is compiled so."""
    text = [remember_text(module)] if module.stored else []
    text += [core_text(f, module, f"{f.name}_core", cblas=cblas, parts=parts) for f in module.functions]
    cores = "\n".join(text)
    tiles, calls = cores.count(" tile("), cores.count(" GEMM(")
    if not tiles:
        return cores
    return f"#if !defined(FCSYM_CBLAS)\n{TILE}#endif\n\n{cores}" if tiles == calls else f"{TILE}\n{cores}"
