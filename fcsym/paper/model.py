"""The paper's symbols, computed: each an exact function of weights, inputs, step size and errors.

Nothing here is written by hand for the paper: a symbol is read off the derivation of 2-2-1, instantiated over the
numbers of a decider (polynomials, z3 terms, fractions), one step after the other. What a prime, a mark and the index n
mean is the only thing that this module adds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cache, reduce
from typing import Any, Protocol, TypeAlias

from fcsym.derivation import Derivation, derive
from fcsym.language.equation import Cases, Order
from fcsym.language.expression import Apply, Array, Expr, Ref
from fcsym.language.instance import Element, Field, Instance, Plans
from fcsym.networks.network import Network
from fcsym.networks.symbols import units
from fcsym.paper.formula import Condition, Node
from fcsym.proof.numbers import Dual

__all__ = ["Key", "Numbers", "Setting", "Undefined", "Unknown", "World", "derivation"]

Key: TypeAlias = "tuple[int, int, str]"
"""A pre-activation: unit (from 1), number of steps, mark of the input."""

Setting: TypeAlias = str
"""steps; held, where w_5' and w_6' are variables of their own; series, where the one step is the n-th."""


class Undefined(ArithmeticError):
    """The formula has no value in this case: it divides by zero, or no compensation exists."""


class Unknown(LookupError):
    """The symbol has no meaning in this setting."""


class Numbers(Protocol):
    """What a decider computes with. The values bring their own + - *."""

    def number(self, value: Fraction) -> Any:
        """A rational number."""

    def variable(self, name: str) -> Any:
        """A free variable."""

    def divide(self, a: Any, b: Any, printed: bool) -> Any:
        """a / b; `printed` where the paper prints the fraction. Raises Undefined where b is 0."""

    def positive(self, key: Key, value: Any) -> bool:
        """Whether this pre-activation is greater than 0."""

    def zero(self, key: Key, value: Any) -> bool:
        """Whether this pre-activation, which is not greater than 0, is 0."""

    def holds(self, relation: str, left: Any, right: Any) -> bool:
        """Whether a condition holds that is printed as a factor."""


@cache
def derivation(order: Order) -> Derivation:
    """One step of the paper's network."""
    return derive(Network.parse("2-2-1"), order)


@cache
def _equations(order: Order) -> Mapping[Array, Any]:
    return {equation.array: equation for equation in derivation(order) if equation.defines}


@cache
def _passed(order: Order) -> Mapping[Array, Any]:
    """The equations of the forward pass alone."""
    return {array: equation for array, equation in _equations(order).items() if array in (_S, _V, _Y)}


@cache
def _plans(order: Order) -> Plans:
    """What every world of the order shares: the same equations at the same widths."""
    return {}


_W1, _W2 = Array("W", 1, (units(1), units(0))), Array("W", 2, (units(2), units(1)))
_W1_NEW, _W2_NEW = _W1.primed, _W2.primed
_S, _V = Array("s", 1, (units(1),)), Array("v", 1, (units(1),))
_Y, _DELTA = Array("y", None, (units(2),)), Array("delta", 2, (units(2),))


class _Lifted:
    """Numbers with a derivative with respect to one variable."""

    def __init__(self, base: Numbers, by: str) -> None:
        self.base, self.by = base, by
        self.nothing = base.number(Fraction(0))

    def number(self, value: Fraction) -> Dual:
        return Dual(self.base.number(value), self.nothing)

    def variable(self, name: str) -> Dual:
        return Dual(self.base.variable(name), self.base.number(Fraction(name == self.by)))

    def divide(self, a: Dual, b: Dual, printed: bool) -> Dual:
        value = self.base.divide(a.value, b.value, printed)
        return Dual(value, self.base.divide(a.slope - value * b.slope, b.value, printed))

    def positive(self, key: Key, value: Dual) -> bool:
        return self.base.positive(key, value.value)

    def zero(self, key: Key, value: Dual) -> bool:
        return self.base.zero(key, value.value)

    def holds(self, relation: str, left: Dual, right: Dual) -> bool:
        return self.base.holds(relation, left.value, right.value)


class World:
    """2-2-1 over some steps, as a place where formulas have values."""

    def __init__(
        self, numbers: Numbers, inputs: Sequence[str] = ("",), setting: Setting = "steps", order: Order = "sequential",
        free_errors: bool = True, variant: str = "", target: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """`free_errors`: dE/dY is a variable and the target follows from it; otherwise the target is the variable.

        `variant`: what the names of the first layer's weights end in. `target`: targets that are known already.
        """
        self.numbers, self.inputs, self.setting, self.order = numbers, tuple(inputs), setting, order
        self.free_errors, self.variant = free_errors, variant
        self.suffix = "&" if variant else ""  # in the names of pre-activations
        self.eta = numbers.variable("eta")
        self.targets: dict[str, Any] = dict(target or {})
        first = [numbers.variable(f"w{n}{variant}") for n in range(1, 5)]
        self.weights = [[*first, numbers.variable("w5"), numbers.variable("w6")]]
        self.done = 0  # steps before the first one, for the names of pre-activations
        self.steps: list[Instance] = []
        self.errors: list[Any] = []
        self.memory: dict[Any, Any] = {}

    # ------------------------------------------------------------------------------------------ the engine

    def input(self, mark: str) -> tuple[Any, Any]:
        """The input with that mark; ~ turns the sign of its second entry, as in S."""
        x1, x2 = (self.numbers.variable(f"{name}{mark.rstrip('~')}") for name in ("x1", "x2"))
        return x1, (self.numbers.number(Fraction(-1)) * x2 if mark.endswith("~") else x2)

    def _field(self, number: int, mark: str) -> Field:
        numbers, steps = self.numbers, self.done + number

        def apply(node: Apply, source: Element, value: Any) -> Any:
            open_gate = numbers.positive((source[1][0] + 1, steps, mark + self.suffix), value)
            piece = node.activation.pieces[1 if open_gate else 0]
            if node.derivative:
                return numbers.number(piece.slope)
            return value if open_gate else numbers.number(Fraction(0))

        def choose(cases: Cases, where: Element, value: Callable[[Expr], Any]) -> Any:
            def holds(condition: Any) -> bool:
                assert isinstance(condition.subject, Ref)
                array = condition.subject.array
                key = (where[1][-1] + 1, steps + (1 if array.after else 0), mark + self.suffix)
                positive = numbers.positive(key, value(condition.subject))
                return positive is (condition.relation in (">", "!="))  # v^c is not 0 where s > 0

            branch = next(branch for branch in cases if all(map(holds, branch.when)))
            if branch.value is None:
                raise Undefined
            return value(branch.value)

        return Field(
            numbers.number, lambda a, b: numbers.divide(a, b, printed=False), apply, choose,
            lambda terms: reduce(lambda a, b: a + b, terms),
        )  # fmt: skip

    def _forward(self, steps: int, mark: str) -> Instance:
        """The forward pass after so many steps."""
        if ("forward", steps, mark) not in self.memory:
            weights, x = self._weights(steps), self.input(mark)

            def leaf(array: Array, position: tuple[int, ...]) -> Any:
                return _leaf(array, position, weights, x)

            net = derivation(self.order).network
            instance = Instance(
                _passed(self.order), net.sizes, leaf, self._field(steps, mark), plans=_plans(self.order)
            )
            self.memory["forward", steps, mark] = instance
        instance = self.memory["forward", steps, mark]
        assert isinstance(instance, Instance)
        return instance

    def _weights(self, steps: int) -> list[Any]:
        while len(self.weights) <= steps:
            done = len(self.weights) - 1
            if done >= len(self.inputs):
                raise Unknown(f"{steps} steps")
            step = self._step(done)
            self.weights.append([
                *(step.element(_W1_NEW, (i, j)) for i in range(2) for j in range(2)),
                *(step.element(_W2_NEW, (0, j)) for j in range(2)),
            ])  # fmt: skip
        return self.weights[steps]

    def _step(self, number: int) -> Instance:
        """The derivation, instantiated at the weights after `number` steps."""
        while len(self.steps) <= number:
            n = len(self.steps)
            mark, weights = self.inputs[n], self._weights(n)
            x = self.input(mark)

            def leaf(
                array: Array, position: tuple[int, ...], weights: Any = weights, x: Any = x, mark: str = mark
            ) -> Any:
                if array.symbol == "yg":
                    return self._target(mark)
                return self.eta if array.symbol == "eta" else _leaf(array, position, weights, x)

            error = self._error(n, mark)
            known: dict[Element, Any] = {(_DELTA, (0,)): error}
            if self.setting == "held" and not n:
                known |= {(_W2_NEW, (0, j)): self.numbers.variable(f"w{j + 5}'") for j in range(2)}
            net = derivation(self.order).network
            self.steps.append(
                Instance(_equations(self.order), net.sizes, leaf, self._field(n, mark), known, plans=_plans(self.order))
            )
            self.errors.append(error)
        return self.steps[number]

    def _error(self, number: int, mark: str) -> Any:
        """dE/dY of a step. The first time an input is seen its error is free; later it follows from the target."""
        if self.free_errors and mark not in self.targets:
            error = self.numbers.variable(f"e{mark}")
            self.targets[mark] = self._forward(number, mark).element(_Y, (0,)) - error
            return error
        return self._forward(number, mark).element(_Y, (0,)) - self._target(mark)

    def _target(self, mark: str) -> Any:
        if mark not in self.targets:
            if self.free_errors:
                self._step(self.inputs.index(mark))
            else:
                self.targets[mark] = self.numbers.variable(f"yg{mark}")
        return self.targets[mark]

    def another(self) -> World:
        """The same network with another first layer, on the same input and target."""
        if "another" not in self.memory:
            target = {mark: self._target(mark) for mark in self.inputs}
            self.memory["another"] = World(
                self.numbers, self.inputs, self.setting, self.order, self.free_errors, "~", target
            )
        world = self.memory["another"]
        assert isinstance(world, World)
        return world

    # ----------------------------------------------------------------------------------------- the symbols

    def symbol(self, name: str, primes: int = 0, mark: str = "") -> Any:
        """What a symbol of the paper stands for. Raises Unknown where it stands for nothing."""
        key = (name, primes, mark)
        if mark.endswith("&") and not self.variant:
            return self.another().symbol(name, primes, mark[:-1])
        if key not in self.memory:
            self.memory[key] = self._symbol(name, primes, mark)
        return self.memory[key]

    def key(self, node: Node) -> Key | None:
        """The pre-activation that a symbol is, where it is one."""
        if node.head != "sym":
            return None
        if node.name in ("s1", "s2"):
            return int(node.name[1]), node.primes, (node.mark or self.inputs[0]) + self.suffix
        return {"An": (1, 1, ""), "An-1": (1, 0, ""), "Bn": (2, 1, ""), "Bn-1": (2, 0, "")}.get(node.name)

    def _symbol(self, name: str, primes: int, mark: str) -> Any:
        here = mark or self.inputs[0]
        if name == "eta":
            return self.eta
        if name in ("x1", "x2") and not primes:
            return self.input(mark)[int(name[1]) - 1]
        if name == "yg" and not primes:
            return self._target(mark)
        if self.setting == "series" and (name.endswith(("n", "n-1")) or (name[0] in "wv" and name.endswith("c"))):
            return self._nth(name)
        if name in ("w1", "w2", "w3", "w4", "w5", "w6") and not mark:
            return self._weights(primes)[int(name[1:]) - 1]
        if name in ("s1", "s2", "v1", "v2"):
            return self._forward(primes, here).element(_S if name[0] == "s" else _V, (int(name[1]) - 1,))
        if name in ("S1", "S2"):
            return self._forward(primes, here + "~").element(_S, (int(name[1]) - 1,))
        if name in ("v1c", "v2c") and not primes:
            return self._forward(0, here).element(_V, (int(name[1]) - 1,))
        if name == "y":
            return self._forward(primes, here).element(_Y, (0,))
        if name == "e" and not mark:
            return self._error_after(primes)
        if name == "E" and not mark and not primes:
            return self._step(0).element(Array("E", None, ()), ())
        if name in ("dv1", "dv2"):
            unit = int(name[2]) - 1
            if primes == 1 and here == self.inputs[0]:
                return self._step(0).element(Array("dv", 1, (units(1),)), (unit,))
            return self.symbol(f"v{unit + 1}", primes, mark) - self.symbol(f"v{unit + 1}c", 0, mark)
        if name[:2] == "dw" and primes and not mark:
            return self.symbol(f"w{name[2:]}", primes) - self.symbol(f"w{name[2:]}", primes - 1)
        if name[:4] == "dEdw" and not mark:
            return self._slope(int(name[4:]), primes)
        if name in ("p", "q") and not primes:
            return self._compensation("pq".index(name), mark)
        if name in ("r5", "r6") and not primes and not mark:
            return self._step(0).element(Array("r", None, (units(2), units(1))), (0, int(name[1]) - 5))
        if self.setting == "held" and name in ("P", "dP") and not primes and not mark:
            return self._integrated(name)
        raise Unknown(f"{name}{primes * chr(39)}{mark}")

    def _error_after(self, steps: int) -> Any:
        if steps < len(self.inputs):
            self._step(steps)
            return self.errors[steps]
        mark = self.inputs[-1]
        return self._forward(steps, mark).element(_Y, (0,)) - self._target(mark)

    def _slope(self, weight: int, steps: int) -> Any:
        """dE/dw, the derivative through the weights as they are: what the simultaneous order uses."""
        world = World(
            self.numbers, (self.inputs[0],), "steps", "simultaneous", self.free_errors, target={"": self._target("")}
        )
        world.weights = [self._weights(steps)]
        world.done = steps  # its pre-activations are those after `steps` steps
        step = world._step(0)
        if weight > 4:
            return step.element(_DELTA, (0,)) * step.element(_V, (weight - 5,))
        row, column = divmod(weight - 1, 2)
        return step.element(Array("delta", 1, (units(1),)), (row,)) * self.input(self.inputs[0])[column]

    def _compensation(self, unit: int, mark: str) -> Any:
        """p of the step; for another input, what w'v' = (w' + p + p@) v^c still lacks."""
        p = self._step(0).element(Array("p", None, (units(2), units(1))), (0, unit))
        if not mark:
            return p
        frozen, after = self.symbol(f"v{unit + 1}", 0, mark), self.symbol(f"v{unit + 1}", 1, mark)
        weight = self._weights(1)[4 + unit]
        if not self.numbers.positive((unit + 1, 0, mark), self.symbol(f"s{unit + 1}", 0, mark)):
            if self.numbers.positive((unit + 1, 1, mark), self.symbol(f"s{unit + 1}", 1, mark)):
                raise Undefined
            return self.numbers.number(Fraction(0))  # every value solves 0 = 0; 0 is chosen
        return self.numbers.divide(weight * (after - frozen), frozen, printed=False) - p

    def _integrated(self, name: str) -> Any:
        """P of the derivation, or its derivative with respect to w_5'."""
        array, position = Array("P", None, (units(2), units(1))), (0, 0)
        if name == "P":
            return self._step(0).element(array, position)
        lifted = World(_Lifted(self.numbers, "w5'"), self.inputs, self.setting, self.order, self.free_errors)
        return lifted._step(0).element(array, position).slope

    def _nth(self, name: str) -> Any:
        """Symbols with the index n: the world's one step is the n-th, from any state that n - 1 steps can reach.

        T stands for the sum of dE/dY_k w_k over the steps before. By the induction hypothesis, for a unit that was
        active all along, the initial weights are w + eta x T: adding this step's update to the hypothesis for n - 1
        gives the one for n, and for n = 1 the sum is empty.
        """
        if name.endswith("c"):
            n = int(name[1])
            if name[0] == "v":
                x1, x2 = self.input("")
                return self._nth(f"w{2 * n - 1}c") * x1 + self._nth(f"w{2 * n}c") * x2
            unit = (n - 1) // 2 if n < 5 else n - 5
            if n > 4:
                raise Unknown(name)
            return self._weights(0)[n - 1] + self.eta * self.input("")[(n - 1) % 2] * self.before(unit)
        steps, head = (0, name[:-3]) if name.endswith("n-1") else (1, name[:-1])
        if head in ("A", "B"):
            return self._forward(steps, "").element(_S, ("AB".index(head),))
        if head == "e" and steps:
            self._step(0)
            return self.errors[0]
        if head[0] == "w" and head[1:] in tuple("123456"):
            return self._weights(steps)[int(head[1:]) - 1]
        if head in ("v1", "v2"):
            return self._forward(steps, "").element(_V, (int(head[1]) - 1,))
        if head in ("r5", "r6"):
            unit = int(head[1]) - 5
            after = self._forward(1, "").element(_V, (unit,))
            return self.numbers.divide(self._weights(1)[4 + unit] * after, self._nth(f"v{unit + 1}c"), printed=False)
        raise Unknown(name)

    def before(self, unit: int) -> Any:
        """The sum of dE/dY_k w_k over the steps before this one."""
        return self.numbers.variable(f"T{unit + 5}")

    # ------------------------------------------------------------------------------------------- formulas

    def value(self, node: Node) -> Any:
        """The value of a formula."""
        numbers = self.numbers
        match node.head:
            case "num":
                return numbers.number(node.value)
            case "sym":
                return self.symbol(node.name, node.primes, node.mark)
            case "+":
                return reduce(lambda a, b: a + b, map(self.value, node.args))
            case "*":
                return reduce(lambda a, b: a * b, map(self.value, node.args))
            case "neg":
                return numbers.number(Fraction(-1)) * self.value(node.args[0])
            case "/":
                return numbers.divide(self.value(node.args[0]), self.value(node.args[1]), printed=True)
            case "^":
                base, exponent = self.value(node.args[0]), int(node.value)
                result = reduce(lambda a, b: a * b, [numbers.number(Fraction(1)), *[base] * abs(exponent)])
                return result if exponent >= 0 else numbers.divide(numbers.number(Fraction(1)), result, printed=True)
            case "relu":
                return self._relu(node.args[0])
            case "if":
                return numbers.number(Fraction(all(map(self.holds, node.when))))
            case "other":
                return self.another().value(node.args[0])
            case "sum":
                return self._series(node.args[0])
            case "d":
                lifted = World(_Lifted(numbers, "w5'"), self.inputs, self.setting, self.order, self.free_errors)
                return lifted.value(node.args[0]).slope
        raise Unknown(node.head)

    def _relu(self, argument: Node) -> Any:
        value, key = self.value(argument), self.key(argument)
        if key is None:
            raise Unknown("RELU of something that is no pre-activation")
        return value if self.numbers.positive(key, value) else self.numbers.number(Fraction(0))

    def holds(self, condition: Condition) -> bool:
        """Whether a condition that is printed as a factor holds."""
        value, key = self.value(condition.left), self.key(condition.left)
        if key is not None and condition.right == Node("num"):
            positive = self.numbers.positive(key, value)
            if positive or condition.relation in (">", "<="):
                return positive is (condition.relation in (">", ">=", "!="))
            zero = self.numbers.zero(key, value)
            return zero is (condition.relation in (">=", "=")) if condition.relation != "!=" else not zero
        return self.numbers.holds(condition.relation, value, self.value(condition.right))

    def _series(self, body: Node) -> Any:
        """The sum from 1 to n: this step's term, and what came before as a multiple of T.

        Where a term is not a constant times dE/dY_k w_k, the rest is a variable of its own and proves nothing.
        """
        factors = list(body.args) if body.head == "*" else [body]
        names = [factor.name for factor in factors if factor.head == "sym"]
        last = self.value(body)
        units = [unit for unit in (0, 1) if names.count(f"w{unit + 5}n") == 1]
        if names.count("en") != 1 or len(units) != 1 or sum(name.endswith("n") for name in names) != 2:
            return last + self.numbers.variable("rest")
        rest = [factor for factor in factors if factor.name not in ("en", f"w{units[0] + 5}n")]
        constant = reduce(lambda a, b: a * b, map(self.value, rest), self.numbers.number(Fraction(1)))
        return last + constant * self.before(units[0])


def _leaf(array: Array, position: tuple[int, ...], weights: Sequence[Any], x: Sequence[Any]) -> Any:
    if array.symbol == "x":
        return x[position[0]]
    if array.symbol == "W" and not array.after:
        return weights[2 * position[0] + position[1] if array.layer == 1 else 4 + position[1]]
    raise Unknown(array.name)
