"""What JAX and PyTorch share: modules of pure functions, in which nothing depends on the value of a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fcsym.kernel import neutral as n
from fcsym.kernel.rows import LARGEST, Row
from fcsym.kernel.targets.arrays import Dialect, function_text
from fcsym.kernel.targets.base import ArrayWords
from fcsym.kernel.targets.python_file import head, rows_text, table
from fcsym.language.expression import Role
from fcsym.networks.symbols import frozen_copy

__all__ = ["PureLanguage", "PureTarget", "pure_file", "pure_functions", "pure_helpers", "pure_source"]


@dataclass(frozen=True, slots=True)
class PureLanguage:
    """The words of one library."""

    dialect: Dialect
    imports: str
    array: str  # the type of an array
    convert: str  # an argument {value} as an array
    scalar: str  # eta as an array like {like}
    remember: str
    windows: str  # the function that reads windows, _windows
    placed: str  # the one that adds up terms at their places, _added_up
    test_array: str  # numbers {value} as an array of {shape}
    test_to: str  # an array {value} as NumPy's
    test_single: str  # whether the self-test computes in single precision
    needs: str


def pure_helpers(text: str, language: PureLanguage) -> list[str]:
    """The functions that source calls and the library does not have."""
    return [made for call, made in (("_windows(", language.windows), ("_added_up(", language.placed)) if call in text]


def pure_functions(module: n.Module, language: PureLanguage) -> list[str]:
    """The functions of a module, `_init` and so on, after those that they call."""
    functions = [
        function_text(f, language.dialect, f"_{f.name}", module.constants, module.sizes) for f in module.functions
    ]
    return [*pure_helpers("".join(functions), language), *functions]


def pure_source(module: n.Module, language: PureLanguage) -> str:
    """State, init, step, output and expand, and the functions that they call."""
    array, functions = language.array, pure_functions(module, language)
    helpers = len(functions) > len(module.functions)
    fields = "".join(f"    {a.name}: {array}\n" for a in module.state)
    held = {a.name for a in module.state}
    given = {a.name for a in module["expand"].given} - held
    first = [k for k, theta in enumerate(module.weights) if frozen_copy(theta).name in given]
    single, stored = module.single_input, module.stored
    capacity = ", capacity: int = 64" if stored else ""
    need_x = '    if x is None:\n        raise ValueError("this is a scheme for one input: give init that input")\n'
    start = "*weights, x" if single else "*weights"
    inputs = ["*state"] + ([] if single else ["x"])
    remember = ""
    if stored:
        names = [a.name for a in module.state]
        remember = (
            "    X, C = _remember(state.X, state.C, x)\n    state = state._replace(X=X, C=C)\n"
            if {"X", "C"} <= set(names)
            else ""
        )
    marks, at_start = ("[:-1]" if module[name].marks else "" for name in ("step", "init"))
    expand = (
        f"""    if x is None:
        raise ValueError("expand needs the weights and the input that init was given")
    return list(_expand(*state, *(weights[k] for k in {tuple(first)}), {language.convert.format(value="x")}))
"""
        if single
        else "    return list(_expand(*state))\n"
    )
    room = "; `capacity` inputs can be stored" if stored else ""
    given_x = f"    x = {language.convert.format(value='x')}\n" if single else ""
    convert = f"weights = [{language.convert.format(value='w')} for w in weights]"
    return f'''{language.imports}from collections.abc import Mapping, Sequence
{"from itertools import product" + chr(10) if helpers else ""}from typing import Any, NamedTuple


class State(NamedTuple):
    """What training carries; every array may have leading axes."""

{fields}

{language.remember + chr(10) + chr(10) if stored else ""}{(chr(10) + chr(10)).join(functions)}

def init(weights: Sequence[Any], x: Any = None{capacity}) -> State:
    """The state of a conventional network{room}."""
{need_x if single else ""}    {convert}
{given_x}    return State(*_init({start}{", capacity" if stored else ""}){at_start})


def step(state: State, x: Any, target: Any, eta: Any) -> State:
    """The state after one training step; numbers that are undefined are nan."""
    state = State(*({language.convert.format(value="a")} for a in state))
    x, target = {language.convert.format(value="x")}, {language.convert.format(value="target")}
    eta = {language.scalar.format(value="eta", like="state[0]")}
{remember}    return State(*_step({", ".join(inputs)}, target, eta){marks})


def output(state: State, x: Any) -> {array}:
    """The output of the network that the state stands for."""
    return _output(*state{"" if single else ", " + language.convert.format(value="x")})[0]


def expand(state: State, weights: Sequence[Any] = (), x: Any = None) -> list[Any]:
    """The weights that backpropagation has after the same steps; weights and x are those given to init."""
{expand}'''


def pure_file(module: n.Module, language: PureLanguage, stem: str, rows: Sequence[Row]) -> str:
    """A module with a self-test."""
    make, to = language.test_array, language.test_to
    shapes = [module.one(role) for role in (Role.INPUT, Role.TARGET)]
    flat_x, flat_target = (
        str((-1, *shape)) if module.samples else "-1" if len(shape) == 1 else str(shape) for shape in shapes
    )
    test = f'''

def selftest() -> str:
    """Every frozen row again; AssertionError where the result is not what exact evaluation gave."""
    single = {language.test_single}

    def compare(array: Any, wanted: Any, what: str) -> None:
        got = {to.format(value="array")}
        exact = np.reshape(np.asarray(wanted, np.float64), got.shape)
        bar = (1e-4 if single else 1e-12) * max(1.0, float(np.abs(exact).max()))
        if not np.abs(got - exact).max() <= bar:
            raise AssertionError(f"{stem}: {{what}} is {{got}}, and exact evaluation gives {{exact}}")

    for number, (flat, xs, targets, eta, outputs, expanded, undefined) in enumerate(ROWS, 1):
        weights = [{make.format(value="values", shape="shape")} for values, shape in zip(flat, _WEIGHTS.values())]
        points = [{make.format(value="values", shape=flat_x)} for values in xs]
        state = init(weights, points[0])
        for n, (x, values) in enumerate(zip(points, targets)):
            if n < len(outputs):  # where it is undefined, so is the step
                compare(output(state, x), outputs[n], f"the output of row {{number}} before step {{n + 1}}")
            state = step(state, x, {make.format(value="values", shape=flat_target)}, eta)
        lost = any(bool(np.isnan({to.format(value="array")}).any()) for array in state)
        if lost != undefined:
            wanted = "undefined" if undefined else "defined"
            raise AssertionError(f"{stem}: row {{number}} is {{wanted}} by exact evaluation")
        if lost:
            continue
        compare(output(state, points[-1]), outputs[-1], f"the last output of row {{number}}")
        for got, wanted, name in zip(expand(state, weights, points[0]), expanded, _WEIGHTS):
            compare(got, wanted, f"{{name}} of row {{number}}")
    if not ROWS:
        return "{stem}: no rows of exact evaluation: they come with networks of at most {LARGEST} weights"
    return f"{stem}: {{len(ROWS)}} rows agree with exact evaluation"


if __name__ == "__main__":
    print(selftest())
'''
    return (
        head(module, stem, "Training steps", f"{language.needs} and NumPy")
        + "\nfrom __future__ import annotations\n\nimport numpy as np\n"
        + pure_source(module, language)
        + f"\n\n_WEIGHTS: dict[str, Any] = {table(module.weights, module)}\n\n"
        + rows_text(rows)
        + test
    )


class PureTarget:
    """Pure functions of a library's arrays."""

    suffix = ".py"

    def __init__(self, name: str, language: PureLanguage, there: str, compiled: str) -> None:
        """`name`: of the package that has the library. `there`, `compiled`: see ArrayWords."""
        self.name, self.language = name, language
        self.words = ArrayWords(language.imports, there, compiled, language.test_single, f"{language.needs} and NumPy")

    def source(self, module: n.Module) -> str:
        """State, init, step, output and expand."""
        return pure_source(module, self.language)

    def functions(self, module: n.Module) -> str:
        """The functions alone."""
        return "\n\n".join(pure_functions(module, self.language))

    def files(self, module: n.Module, stem: str, rows: Sequence[Row]) -> Mapping[str, str]:
        """One module, stem.py."""
        return {f"{stem}.py": pure_file(module, self.language, stem, rows)}
