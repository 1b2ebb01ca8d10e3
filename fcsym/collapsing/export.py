"""The scheme `collapsed` as stand-alone files: its equations, what carries columns, in NumPy or C, and what is known.

The equations are those of `gates_held`, for columns of any number: init, step, output, expand. Beside them are two of
the network as it is: where its units are at the start, and a step of backpropagation, beside which the file trains when
it tests itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fcsym import __version__
from fcsym.collapsing.agreeing import agrees, c_agrees
from fcsym.collapsing.c_files import c_files
from fcsym.collapsing.gates_held import gates_held, seen
from fcsym.collapsing.sources import text_of_modules
from fcsym.collapsing.table import Table
from fcsym.collapsing.tabled import table_of
from fcsym.deriving.pipeline import one_step
from fcsym.kernel.export import destination, refuse_large_check, written
from fcsym.kernel.lower import lower_scheme
from fcsym.kernel.neutral import Module
from fcsym.kernel.rows import LARGEST, Row, frozen_rows
from fcsym.kernel.targets.base import ArrayTarget
from fcsym.kernel.targets.numpy import NumpyTarget
from fcsym.kernel.targets.python_file import equations_text, rows_text
from fcsym.language.equation import Order
from fcsym.networks.network import Network
from fcsym.networks.symbols import units
from fcsym.schemes import backprop, states
from fcsym.schemes.record import Routine, SchemeRecord, cut
from fcsym.values.given import Values as Given

__all__ = ["c_text_of", "export", "text_of"]


def export(
    network: Network, order: Order, contracted: Sequence[int], path: str | Path, target: str | None = None,
    force: bool = False, values: Given | None = None,
) -> list[Path]:  # fmt: skip
    """Write the files, after they were held against exact numbers and autodiff; arguments as for `kernel.export`.

    `network`: as it is trained, one input after another or in mini-batches. Raises what `kernel.export` raises.
    """
    where, chosen, stem = destination(path, target)
    refuse_large_check(network)
    rows = _rows(network, order, values)
    if isinstance(chosen, ArrayTarget):
        text = text_of(network, order, contracted, chosen, stem, rows)
        files, problem = {where.name: text}, lambda: agrees(text, network, order)
    else:
        files = c_text_of(network, order, contracted, stem, rows)
        in_numpy = text_of(network, order, contracted, NumpyTarget(), stem, rows)
        problem = lambda: c_agrees(files, in_numpy, network, order, stem, rows)  # noqa: E731
    placed = {where.parent / name: text for name, text in files.items()}
    return written(placed, force, f"collapsed of {network}", problem)


def text_of(
    network: Network, order: Order, contracted: Sequence[int], target: ArrayTarget, stem: str, rows: Sequence[Row]
) -> str:
    """The text of the file of a library."""
    trained, module, table = _known(network, order, tuple(contracted))
    # how many columns there are is not known, and no target may write it down
    module = replace(module, sizes={a: n for a, n in module.sizes.items() if a not in map(units, contracted)})
    words, functions = target.words, target.functions(module)
    names = [f"{f.name}={words.compiled.format(name=f'_{f.name}')}" for f in module.functions]
    return (
        _head(module, trained, stem, words.needs)
        + "\nfrom __future__ import annotations\n\n"
        + text_of_modules(words.imports)
        + "\n\n"
        + functions
        + "\n\n"
        + f"_TABLE = {table!r}\n"
        + f"_FUNCTIONS: dict[str, Callable[..., Any]] = dict(\n    {', '.join(names)}\n)\n"
        + f"_TRAINER = Trainer(_FUNCTIONS, _TABLE, {words.there})\n"
        + _CALLS
        + rows_text(rows)
        + _SELFTEST.replace("STEM", stem).replace("LARGEST", str(LARGEST)).replace("SINGLE", words.single)
    )


def _known(network: Network, order: Order, contracted: tuple[int, ...]) -> tuple[Network, Module, Table]:
    """The network in mini-batches, its equations lowered, and where everything is."""
    trained = network.training(network.rule, network.batch or "sum", network.samples or None)
    record = _record(trained, order, contracted)
    module = lower_scheme(record)
    module = replace(module, sizes={**module.sizes, units(0): trained.inputs})
    return trained, module, table_of(trained, order, contracted)


def c_text_of(
    network: Network, order: Order, contracted: Sequence[int], stem: str, rows: Sequence[Row]
) -> dict[str, str]:
    """The texts of the files in C, by name."""
    trained, module, table = _known(network, order, tuple(contracted))
    first = trained.pre_activation(1).name
    idle = {
        n: next(k for k, (place, _) in enumerate(layer.numbers.read) if table.state[place] == first)
        for n, layer in table.layers.items()
        if layer.numbers.rows is not None
    }
    return c_files(module, table, stem, rows, idle)


def _record(network: Network, order: Order, contracted: tuple[int, ...]) -> SchemeRecord:
    """The step on columns, and beside it the network as it is: where it starts, and its step."""
    record, base = gates_held(network, order, contracted), one_step(network, order)
    whole, given = backprop.build(base), (*network.parameters, network.input)
    sides = seen(network, ())
    more = {"rest": whole.routines["init"], "backprop": whole.routines["step"]}
    if sides:
        more["forward"] = Routine(given, cut(base.equations, given, sides), sides)
    return replace(record, routines={**record.routines, **more})


def _head(module: Module, network: Network, stem: str, needs: str) -> str:
    count = "m" if not network.samples else str(network.samples)
    assumptions = "\n".join(sentence.replace("`", "") for sentence in module.assumptions)
    weights = ", ".join(f"{theta.name} {network.shape(theta)}" for theta in network.parameters)
    return f'''"""Training steps of {module.title}, with gate events carried.

    state = init(weights, x)                 x ({count}, {network.inputs}): the held inputs, or one, ({network.inputs},)
    state = step(state, x, target, eta)      on all of them, where x is None or these, or on some or one of them
    y = output(state, x)
    weights = expand(state)
    state.events                             units that left their lines: step, layer, units, lines before and after

Weights: {weights}.
{assumptions}
In `step` and `output` the units of the layers that are summed over are columns, as many as it takes: see Columns.

{equations_text(module)}

Generated by fcsym {__version__}; equations {module.digest}; needs {needs}. `python {stem}.py` runs selftest().
"""
'''


_CALLS = '''

def init(weights: Sequence[Any], x: Any) -> State:
    """The state of a conventional network on held inputs; ValueError for arrays that do not fit."""
    return _TRAINER.init(weights, x)


def step(state: State, x: Any, target: Any, eta: Any) -> State:
    """The state after one training step, with every unit on the line that it then has.

    ValueError for arrays that do not fit and for inputs that are not held; ArithmeticError where the state is not
    finite after it.
    """
    return _TRAINER.step(state, x, target, eta)


def output(state: State, x: Any = None) -> Any:
    """The output of the network that the state stands for, on held inputs."""
    return _TRAINER.output(state, x)


def expand(state: State, weights: Any = None, x: Any = None) -> list[Any]:
    """[W1, ...]: the weights that backpropagation has after the same steps; the state has those of init, and x."""
    return _TRAINER.expand(state)


'''

_SELFTEST = '''

def _beside(seed: int, eta: float) -> int | None:
    """Training from random weights beside backpropagation; how many gate events there were, None where it diverges."""
    rng, there, (count, inputs) = np.random.default_rng(seed), _TRAINER.there, _TABLE.point
    count = count or 3
    weights = [rng.normal(size=shape) / math.sqrt((*shape, 4, 4)[1]) for shape in _TABLE.parameters.values()]
    x, target = rng.normal(size=(count, inputs)), rng.normal(size=(count, _TABLE.outputs))
    state, plain = init(weights, x), _TRAINER.call("rest", [there(w) for w in weights])
    given = [there(a) for a in (x, target, np.asarray(eta))]
    for _ in range(30):
        try:
            state = step(state, None, target, eta)
        except ArithmeticError:
            return None
        plain = _TRAINER.call("backprop", [*plain, *given])
    for name, got, wanted in zip(_TABLE.parameters, map(here, expand(state)), map(here, plain)):
        largest = float(np.abs(wanted).max())
        if largest > 1e3:
            return None
        if not np.abs(got - wanted).max() <= 1e-9 * max(1.0, largest):
            raise AssertionError(f"STEM: {name} is not what backpropagation has after 30 steps of {eta}")
    return sum(len(event.units) for event in state.events)


def selftest() -> str:
    """Every frozen row again, then training beside backpropagation; AssertionError where they differ."""
    single = SINGLE

    def compare(array: Any, wanted: Any, what: str) -> None:
        got = here(array)
        exact = np.reshape(np.asarray(wanted, np.float64), got.shape)
        bar = (1e-4 if single else 1e-12) * max(1.0, float(np.abs(exact).max()))
        if not np.abs(got - exact).max() <= bar:
            raise AssertionError(f"STEM: {what} is {got}, and exact evaluation gives {exact}")

    apart = Trainer(_FUNCTIONS, _TABLE, _TRAINER.there, together=False)  # rounding takes no unit off a kink
    for number, (flat, xs, targets, eta, outputs, expanded, _) in enumerate(ROWS, 1):
        weights = [np.reshape(values, shape) for values, shape in zip(flat, _TABLE.parameters.values())]
        x = np.array(xs[0], float)
        state = apart.init(weights, x)
        for n, values in enumerate(targets):
            compare(apart.output(state, x), outputs[n], f"the output of row {number} before step {n + 1}")
            state = apart.step(state, x, np.array(values, float), eta)
        compare(apart.output(state, x), outputs[-1], f"the last output of row {number}")
        for got, wanted, name in zip(apart.expand(state), expanded, _TABLE.parameters):
            compare(got, wanted, f"{name} of row {number}")
    crossed = 0
    if not single:  # in single precision a gate may be turned by rounding
        for seed in range(2):
            made = (_beside(seed, 2.0**-k / (1 + _TABLE.point[1])) for k in range(1, 12, 2))
            crossed += next((found for found in made if found is not None), 0)
    rows = f"{len(ROWS)} rows agree with exact evaluation" if ROWS else "no rows of exact evaluation"
    return f"STEM: {rows}; beside backpropagation over {crossed} gate events of units"


if __name__ == "__main__":
    print(selftest())
'''


def _rows(network: Network, order: Order, values: Given | None) -> list[Row]:
    """Frozen rows of the network on inputs that stay, those of a reader first."""
    batch = network.training(network.rule, network.batch or "sum", network.samples or None)
    rows = frozen_rows(states.build(one_step(batch, order)), 40)
    if values is not None:
        rows = [*frozen_rows(backprop.build(one_step(network, order)), 0, values)[:1], *rows]
    return rows
