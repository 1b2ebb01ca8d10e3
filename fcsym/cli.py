"""The command line. Everything that needs algebra is imported by the command that needs it."""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import signal
import sys
import textwrap
import threading
import warnings
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from fcsym.checking.report import Report
    from fcsym.derivation import Derivation
    from fcsym.deriving.record import Record
    from fcsym.document import Document
    from fcsym.language.findings import Proof
    from fcsym.networks.network import Network
    from fcsym.proof.joint import Joint
    from fcsym.training import Scheme

__all__ = ["main"]

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130
_MAX_UNASKED = 2_500_000  # weights; larger networks are checked only where --trials says so
_MAX_PRINTED = 200_000  # operations; a thousand pages are no table


def _schemes() -> tuple[str, ...]:
    from fcsym.schemes import SCHEMES

    return tuple(SCHEMES)


def _targets() -> tuple[str, ...]:
    from fcsym.kernel.export import TARGETS

    return tuple(TARGETS)


def _step_targets() -> tuple[str, ...]:
    from fcsym.derivation import TARGETS

    return tuple(TARGETS)


def _activations() -> tuple[str, ...]:
    from fcsym.language.activation import BUILT_IN

    return BUILT_IN


def _losses() -> tuple[str, ...]:
    from fcsym.networks.losses import LOSSES

    return tuple(LOSSES)


def _rules() -> tuple[str, ...]:
    from fcsym.networks.rules import RULES

    return tuple(RULES)


def _literals(name: str) -> Callable[[], tuple[str, ...]]:
    def known() -> tuple[str, ...]:
        from fcsym.language import equation

        return get_args(getattr(equation, name))

    return known


_KNOWN: dict[str, Callable[[], tuple[str, ...]]] = {
    "schemes": _schemes, "targets": _targets, "step targets": _step_targets, "activations": _activations,
    "losses": _losses, "rules": _rules, "orders": _literals("Order"), "notations": _literals("Notation"),
    "details": _literals("Detail"),
}  # fmt: skip
"""What there is to choose from, as help says it."""


class _Usage(Exception):
    """The command line itself is wrong."""


class _Parser(argparse.ArgumentParser):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**(settings | {"allow_abbrev": False}))  # --jso is no --json

    def format_help(self) -> str:
        """The help, with what there is to choose from as the registries have it: they are read when it is printed."""
        for action in self._actions:
            for key, known in _KNOWN.items():
                if action.help and f"{{{key}}}" in action.help:
                    default = (f"{action.default} (default)",) if isinstance(action.default, str) else ()
                    names = (*default, *(name for name in known() if name != action.default))
                    action.help = action.help.replace(f"{{{key}}}", f"{', '.join(names[:-1])} or {names[-1]}")
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        raise _Usage(f"{message}; run '{self.prog} --help' to see what is possible.")

    def _print_message(self, message: str, file: Any = None) -> None:
        (file or sys.stderr).write(message)  # argparse's own drops what cannot be written


class _Unwritable(Exception):
    """Standard output does not take what is written to it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Returns 0 when done, 1 when a check failed, 2 when the input was wrong, 130 when interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    wants_json = "--json" in arguments
    try:
        with _heard():
            _streams()
            with _written():
                options = _parser().parse_args(arguments)
            status = int(options.run(options))
            with _written():
                sys.stdout.flush()
            return status
    except BrokenPipeError:  # the reader of our output has left
        _into_nothing(sys.stdout)
        return DONE
    except KeyboardInterrupt:
        return _complain("Interrupted.", wants_json, INTERRUPTED)
    except Exception as problem:
        from fcsym.errors import FcsymError

        if isinstance(problem, MemoryError):
            return _complain("There is not enough memory for this: try a smaller network, or fewer points.", wants_json)
        if isinstance(problem, FcsymError | _Usage | _Unwritable):
            return _complain(str(problem), wants_json and not isinstance(problem, _Unwritable))
        raise
    finally:
        try:
            if sys.stderr is not None:
                sys.stderr.flush()
        except (OSError, ValueError):
            _into_nothing(sys.stderr)


@contextmanager
def _heard() -> Iterator[None]:
    """Ctrl-C is heard wherever it comes.

    Python drops an exception that is raised while an object is taken down, and the interruption with it: one that comes
    there comes again a moment later.
    """
    own = threading.current_thread() is threading.main_thread()
    if not own or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code.co_name == "__del__":
                again = threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT))
                again.daemon = True
                again.start()
                return
            frame = frame.f_back
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _complain(sentence: str, as_json: bool, status: int = WRONG_INPUT) -> int:
    """Say what went wrong, where anyone can hear it."""
    stream = sys.stdout if as_json else sys.stderr
    try:
        if stream is not None:
            print(json.dumps({"error": sentence}) if as_json else f"fcsym: {sentence}", file=stream, flush=True)
    except (OSError, ValueError):
        _into_nothing(stream)
    return status


def _streams() -> None:
    """Refuse a closed standard output before the work; put nothing in the place of a closed error output.

    A file that is opened later must not come by the number of a standard stream that is closed.
    """
    closed = [number for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)) if stream is None]
    if closed:
        while (number := os.open(os.devnull, os.O_RDWR)) < 3:
            pass
        os.close(number)
    if sys.stdout is None:
        raise _Unwritable("Standard output is closed: give the command somewhere to write to.")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal in ASCII shows less, and no traceback


@contextmanager
def _written() -> Iterator[None]:
    """What goes wrong here goes wrong with standard output."""
    try:
        yield
    except SystemExit:  # after --help and --version
        with _written():
            sys.stdout.flush()
        raise
    except BrokenPipeError:
        raise
    except OSError as problem:
        _into_nothing(sys.stdout)
        raise _Unwritable(f"Standard output cannot be written ({problem.strerror}): choose another place.") from None


def _into_nothing(stream: Any) -> None:
    """What is still to be written to a stream that does not take it goes nowhere, instead of failing at the exit."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _put(text: str) -> None:
    """A line on standard output, as it is."""
    with _written():
        print(text)


def _parser() -> argparse.ArgumentParser:
    from fcsym import __version__

    parser = _Parser(
        prog="fcsym", description="Derive, prove, typeset, compile and check the learning rules of small networks."
    )
    parser.add_argument("--version", action="version", version=f"fcsym {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)

    derive = commands.add_parser("derive", help="derive, prove, show, compile and check: the main job")
    _network_options(derive)
    _check_options(derive)
    derive.add_argument("-o", "--save", metavar="FILE", help="write the derivation as well: .tex, .html, .pdf")
    derive.add_argument("--notation", help="of the file: {notations}, which has names w_1, w_2, ... (default indexed)")
    derive.add_argument("--detail", help="{details}, which is equations and verdicts without reasons (default full)")
    derive.add_argument(
        "--only", metavar="NAME", help="show this quantity and what leads to it, or this function of a scheme"
    )
    derive.add_argument("--scheme", help="a scheme's four derivations, trained beside autodiff: {schemes}")
    derive.set_defaults(run=_derive)

    cases = commands.add_parser("cases", help="the case table of one unit, in closed form")
    _network_options(cases)
    cases.add_argument("--unit", type=int, default=1, help="which unit, from 1 (default 1)")
    cases.add_argument("--layer", type=int, help="which hidden layer (default: the last)")
    cases.add_argument("--quantity", default="p", help="p, P, dv, ... (default p)")
    cases.add_argument("--raw", action="store_true", help="in raw weights and inputs only")
    cases.add_argument("--max-operations", type=int, help="allow closed forms of this size")
    cases.set_defaults(run=_cases)

    cases.add_argument(
        "--joint", action="store_true", help="which gate patterns of all hidden units together can occur"
    )

    audit = commands.add_parser("audit", help="every printed equation of the paper, decided")
    audit.add_argument("--json", action="store_true", help="one JSON document on standard output")
    audit.add_argument("-o", "--save", metavar="FOLDER", help="write report.tex and report.json there as well")
    audit.add_argument("--time-limit", type=float, default=20.0, help="seconds for one question to z3 (default 20)")
    audit.set_defaults(run=_audit)

    check = commands.add_parser("check", help="compare the compiled step, or training by a scheme, with autodiff")
    _network_options(check)
    _check_options(check)
    check.add_argument("--scheme", help="train by {schemes}")
    check.add_argument("--target", default="numpy", help="{step targets}, without --scheme")
    check.add_argument("--steps", type=int, default=100, help="training steps, with --scheme (default 100)")
    check.set_defaults(run=_check)

    cost = commands.add_parser("cost", help="what every scheme stores and computes, as polynomials in the widths")
    _network_options(cost)
    cost.add_argument("--inputs", type=int, default=1, help="distinct inputs, for history (default 1)")
    cost.set_defaults(run=_cost)

    claims = commands.add_parser("claims", help="the paper's claims (i)-(vi) and its induction, each with a number")
    claims.add_argument("network", nargs="?", default="2-2-1", help="widths, or a network file (default 2-2-1)")
    _network_settings(claims, order=False)
    claims.set_defaults(run=_claims)

    reproduce = commands.add_parser("reproduce", help="the paper's XOR experiment and figure 3")
    reproduce.add_argument("-o", "--save", metavar="DIR", default="reproduction", help="where to write the files")
    reproduce.add_argument("--steps", type=int, default=1000, help="training steps (default 1000)")
    reproduce.add_argument("--eta", type=float, default=0.1, help="step size (default 0.1)")
    reproduce.add_argument("--seed", type=int, default=0, help="seed of the weights (default 0)")
    reproduce.add_argument("--no-figure", action="store_true", help="write CSV and JSON only")
    reproduce.add_argument("--json", action="store_true", help="one JSON document on standard output")
    reproduce.set_defaults(run=_reproduce)

    export = commands.add_parser("export", help="write a scheme's four functions as files that stand alone")
    _network_options(export)
    export.add_argument("--scheme", default="backprop", help="{schemes}")
    export.add_argument("--target", default="numpy", help="{targets}")
    export.add_argument("-o", "--save", metavar="DIR", default=".", help="the folder to write to (default: this one)")
    export.add_argument("--name", default="update", help="the name of the files and of C functions (default update)")
    export.add_argument("--force", action="store_true", help="replace files that fcsym did not write")
    export.set_defaults(run=_export)
    return parser


def _network_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("network", help="widths from input to output, such as 2-2-1, or a network file (.toml)")
    _network_settings(parser)


def _network_settings(parser: argparse.ArgumentParser, order: bool = True) -> None:
    if order:
        parser.add_argument("--order", default="simultaneous", help="{orders}; sequential is the paper's")
    parser.add_argument("--activation", default="relu", help="{activations}")
    parser.add_argument("--bias", action="store_true", help="a bias in every layer")
    parser.add_argument("--output", default="identity", help="the output activation: {activations}")
    parser.add_argument("--loss", default="squared", help="{losses}")
    parser.add_argument(
        "--rule", metavar="RULE[,NAME=NUMBER]...",
        help="the update rule, with its coefficients: {rules}; such as momentum,beta=0.9,weight_decay=0.01",
    )  # fmt: skip
    parser.add_argument("--batch", metavar="mean|sum", help="train in mini-batches: the mean or the sum of the loss")
    parser.add_argument("--samples", type=int, metavar="N", help="how many samples a mini-batch has (default: open)")
    parser.add_argument(
        "--slope-at-kink", help="the derivative at a kink, such as 0.5 or 1/2 (default: the slope on the left of it)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")


def _check_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trials", type=int, help="random points to check (default 1000, fewer for large networks)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random points (default 0)")


def _network(options: argparse.Namespace) -> Network:
    """The network that is asked for; what is odd about it is said on standard error, where no JSON goes."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        network = _read_network(options)
    for warning in said:
        print(f"fcsym: {warning.message}", file=sys.stderr)
    return network


def _read_network(options: argparse.Namespace) -> Network:
    network = _layers(options)
    if options.rule is None and options.batch is None and options.samples is None:
        return network
    update = network.rule if options.rule is None else _rule(options.rule)
    batch = network.batch if options.batch is None else options.batch
    return network.training(update, batch, (network.samples or None) if options.samples is None else options.samples)


def _rule(text: str) -> Any:
    """ "momentum,beta=0.9" => the update rule."""
    from fcsym.errors import ArgumentError
    from fcsym.networks.rules import rule

    name, *parts = text.split(",")
    pairs = [part.partition("=") for part in parts]
    wrong = next(
        (part for part, pair in zip(parts, pairs, strict=True) if not (pair[0].isidentifier() and pair[2])), None
    )
    if wrong is not None:
        raise ArgumentError(f"--rule has {wrong[:40]!r}: write a coefficient as NAME=NUMBER, such as beta=0.9.")
    twice = next((key for n, (key, *_) in enumerate(pairs) if key in [other for other, *_ in pairs[:n]]), None)
    if twice is not None:
        raise ArgumentError(f"--rule gives {twice} twice: give it once.")
    return rule(name, **{key: value for key, _, value in pairs})


def _layers(options: argparse.Namespace) -> Network:
    from fcsym.errors import NetworkError
    from fcsym.networks.network import Network

    text = options.network
    if text.endswith(".toml") or os.sep in text:
        if (options.activation, options.output, options.loss) != ("relu", "identity", "squared") or options.bias:
            raise NetworkError(
                f"{text} says itself which activations, biases and loss it has: leave --activation, --output, --loss "
                "and --bias out."
            )
        return Network.load(text)
    return Network.parse(text, options.activation, options.bias, output=options.output, loss=options.loss)


def _derivation(options: argparse.Namespace) -> Derivation:
    from fcsym.derivation import derive

    return derive(_network(options), options.order, options.slope_at_kink)


def _trials(options: argparse.Namespace, d: Record) -> int:
    """1000 points, or as many as a large network can be checked on in a few seconds."""
    if options.trials is not None:
        return int(options.trials)
    size = sum(math.prod(d.network.shape(array)) for array in d.network.parameters)
    if size > _MAX_UNASKED:
        from fcsym.errors import SizeError

        raise SizeError(
            f"{d.network} has {size} weights, and its comparison with autodiff would take about {size // 600_000} "
            "minutes: allow it with --trials 50, or take a narrower network, the equations are the same."
        )
    return max(50, min(1000, 10_000_000 // size))


@contextmanager
def _progress(total: int | None = None) -> Iterator[Callable[[str], None]]:
    """A line on standard error that says what is being done, where someone may be watching."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)

        def step(what: str) -> None:
            bar.update(task, description=what, advance=1)

        yield step


def _window() -> int | None:
    """The columns of the window: as COLUMNS says, or as the terminal does; None where neither is there to say it."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told):
        return int(told)
    return os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else None


def _show(*parts: Any) -> None:
    from rich.console import Console

    console = Console(width=_window() or 140)
    with _written():
        for part in parts:
            console.print(part)


def _say(sentence: object) -> None:
    """A sentence, in lines where there is a window; a path or a formula in it is never broken."""
    width = _window()
    broken = (
        str(sentence)
        if width is None
        else textwrap.fill(str(sentence), width, break_long_words=False, break_on_hyphens=False)
    )
    _put(broken)


def _prove(d: Derivation) -> None:
    with _progress(len(d)) as step:
        d.prove(lambda name: step(f"proving {name}"))


# --------------------------------------------------------------------------------------------------- commands


def _derive(options: argparse.Namespace) -> int:
    from fcsym.checking import xor
    from fcsym.checking.checker import check

    if options.scheme is not None:
        return _derive_scheme(options)
    d = _derivation(options)
    of_file, trials = _options_of_file(options, d), _trials(options, d)
    _prove(d)
    with _progress() as step:
        reports = [check(d, trials, options.seed, progress=step)]
        if xor.applies(d.network):
            reports.append(check(d, 1, options.seed, points=xor.points(d.network, seed=options.seed), progress=step))
    written = None if options.save is None else d.save(options.save, **of_file)
    passed = d.proof.holds and all(reports)
    if options.json:
        document = _summary(d, reports) | {"equations": [_equation(d, name) for name in d.by_name]}
        if written is not None:
            document["file"] = str(written)
        _put(json.dumps(document))
        return DONE if passed else FAILED
    _show_derivation(d, reports, options)
    if written is not None:
        _say(f"written: {written}")
    _say(_conclusion(d, reports))
    return DONE if passed else FAILED


def _options_of_file(options: argparse.Namespace, document: Document) -> dict[str, Any]:
    """How the file is written, if one is; what is wrong with that is said before the work, not after."""
    from fcsym.render.content import checked

    found = _options_of_terminal(options)
    if options.notation is not None:
        if options.save is None:
            raise _Usage("--notation says how a file is written: name the file with -o.")
        found["notation"] = options.notation
    if options.save is not None:
        from fcsym.render.save import writable

        writable(options.save)
    checked(document, **found)
    return found


def _options_of_terminal(options: argparse.Namespace) -> dict[str, Any]:
    """What is shown, in a file and in the terminal alike."""
    found = {name: getattr(options, name) for name in ("detail", "only")}
    return {name: value for name, value in found.items() if value is not None}


def _derive_scheme(options: argparse.Namespace) -> int:
    """The same for a scheme: its four derivations, and training beside autodiff."""
    from fcsym.training import scheme

    s = scheme(_network(options), options.scheme, options.order, options.slope_at_kink)
    of_file = _options_of_file(options, s)
    report, passed = _trained(s, options)
    written = None if options.save is None else s.save(options.save, **of_file)
    if options.json:
        document = _scheme_summary(s, report, passed) | {
            "equations": [_equation(part, name) | {"function": part.name} for part in s.parts for name in part.by_name]
        }
        if written is not None:
            document["file"] = str(written)
        _put(json.dumps(document))
        return DONE if passed else FAILED
    from fcsym.render import terminal

    open_ones = [] if s.proof.holds else [terminal.refutations(s.proof)]
    _show(terminal.document(s, **_options_of_terminal(options)), *open_ones, terminal.checks(report))
    if written is not None:
        _say(f"written: {written}")
    _say(_scheme_conclusion(s, report))
    return DONE if passed else FAILED


def _show_derivation(d: Derivation, reports: Sequence[Report], options: argparse.Namespace) -> None:
    from fcsym.closed.closed_form import paper_symbols
    from fcsym.render import terminal
    from fcsym.render.content import checked

    shown = _options_of_terminal(options)
    (names,) = checked(d, **shown)
    parts: list[Any] = [terminal.document(d, **shown)]
    if "p" in names and options.detail != "summary" and not d.network.batch and _small_enough(d):
        keep = paper_symbols(d)
        parts.append(terminal.cases("p, unit 1", d.cases("p", 1, keep=keep)))
    if not d.proof.holds:
        parts.append(terminal.refutations(d.proof))
    _show(*parts, terminal.checks(reports[0]))


def _small_enough(d: Derivation) -> bool:
    """Closed forms of a unit are shown where they fit on a screen."""
    from fcsym.closed.closed_form import operations, paper_symbols

    return operations(d, d["p"], frozenset(d.by_name[name].array for name in paper_symbols(d))) <= 200


def _conclusion(d: Derivation, reports: Sequence[Report]) -> str:
    """One line: what was proved and what was measured."""
    from fcsym.language.equation import OPEN, Verdict

    proof = d.proof
    shown = [Verdict.PROVED, Verdict.CHOSEN, Verdict.REFUTED, *(v for v in OPEN if proof.count(v))]
    proved = ", ".join(f"{verdict.value.lower()} {proof.count(verdict)}" for verdict in shown)
    main = reports[0]
    measured = f"measured {main.points} numbers on random, exact and near-zero points"
    if len(reports) > 1:
        measured += f" and {reports[1].points} on the four XOR samples"
    elif d.network.inputs != 2 or d.network.widths[-1] != 1:
        measured += " (XOR needs two inputs and one output)"
    worst = max((report.worst for report in reports), key=lambda row: (not row.passed, row.ratio))
    if not worst.passed and not worst.points:
        outcome = f"NO POINT reached the case {worst.case} of {worst.quantity}; try more --trials"
    else:
        verdict = "agrees" if all(reports) else "DISAGREES"
        bar = f"worst error {worst.ratio:.2g} of its bound ({worst.quantity}, {worst.case})"
        outcome = f"the kernel {verdict} with autodiff, {bar}"
    return f"{d.network}, {d.order}: {proved}; {measured}: {outcome}."


def _summary(d: Derivation, reports: Sequence[Report]) -> dict[str, Any]:
    return {
        "network": str(d.network), "order": d.order, **_counts(d.proof),
        "passed": d.proof.holds and all(reports),
        "checks": [_row(row, sample) for report, sample in zip(reports, ("random", "xor"), strict=False)
                   for row in report.rows],
    }  # fmt: skip


def _counts(proof: Proof) -> dict[str, int]:
    from fcsym.language.equation import COUNTED

    return {verdict.value.lower(): proof.count(verdict) for verdict in COUNTED}


def _row(row: Any, sample: str) -> dict[str, Any]:
    """A row of a report; numbers that JSON cannot hold become null."""
    return {
        "quantity": row.quantity, "case": row.case, "points": row.points,
        "worst": row.worst if row.worst < float("inf") else None, "bound": row.bound, "passed": row.passed,
        "impossible": row.impossible, "sample": sample, "where": row.where,
    }  # fmt: skip


def _equation(d: Derivation, name: str) -> dict[str, Any]:
    from fcsym.render import terminal

    equation, finding = d.by_name[name], d.proof.verdict(name)
    return {
        "name": name, "equation": str(equation), "rule": equation.rule.value, "because": equation.because,
        "uses": list(equation.uses), "paper": equation.cite, "verdict": finding.verdict.value,
        "index": finding.index, "expanded": finding.expanded, "note": terminal.plain(finding.note),
        "where": [str(condition) for condition in finding.where],
    }  # fmt: skip


def _cases(options: argparse.Namespace) -> int:
    from fcsym.closed.closed_form import paper_symbols
    from fcsym.closed.flip import flips
    from fcsym.render import terminal

    d = _derivation(options)
    keep = () if options.raw else tuple(n for n in paper_symbols(d) if n != d.resolve(options.quantity, options.layer))
    rows = d.cases(
        options.quantity,
        options.unit,
        layer=options.layer,
        keep=keep,
        max_operations=_MAX_PRINTED if options.max_operations is None else options.max_operations,
    )
    flip = flips(d, options.unit, options.layer)
    patterns = _joint(options, d)
    if options.json:
        _put(json.dumps({
            "network": str(d.network), "order": d.order, "unit": options.unit,
            "quantity": d.resolve(options.quantity, options.layer),
            "cases": [
                {
                    "name": row.name, "when": row.condition,
                    "value": "undefined" if row.value is None else str(row.value),
                    "verdict": row.verdict.value, "status": row.status.value, "possible": row.possible,
                    "note": terminal.plain(row.note),
                }
                for row in rows
            ],
            "flip": flip.as_dict(), **_joint_document(patterns),
        }))  # fmt: skip
    else:
        name = d.resolve(options.quantity, options.layer)
        _show(terminal.cases(f"{name}, unit {options.unit}, {d.network}, {d.order} order", rows))
        _say(f"flip: {flip}")
        if patterns:
            _show(*map(terminal.joint, patterns))
    open_questions = any(found.unknown for found in patterns)
    return DONE if not d.proof.refuted and not open_questions else FAILED


def _joint(options: argparse.Namespace, d: Derivation) -> list[Joint]:
    """The joint patterns with one input and with two, where they are asked for."""
    if not options.joint:
        return []
    from fcsym.proof.joint import joint

    with _progress() as step:
        return [joint(d.network, d.order, inputs, step) for inputs in (1, 2)]


def _joint_document(patterns: Sequence[Joint]) -> dict[str, Any]:
    if not patterns:
        return {"joint": None}
    one, two = patterns
    return {
        "joint": len(one.reachable), "joint_two_inputs": len(two.reachable),
        "joint_impossible": len(one.impossible), "joint_unknown": len(one.unknown) + len(two.unknown),
        "joint_patterns": [{"pattern": one.named(p), "witness": str(w)} for p, w in one.reachable.items()],
        "joint_patterns_two_inputs": [{"pattern": two.named(p), "witness": str(w)} for p, w in two.reachable.items()],
    }  # fmt: skip


def _audit(options: argparse.Namespace) -> int:
    from fcsym.errors import ArgumentError
    from fcsym.paper import ROWS, Limits, audit
    from fcsym.paper import terminal as show
    from fcsym.render import terminal

    if not 0 < options.time_limit <= 86400:
        raise ArgumentError(
            f"The time limit is {options.time_limit:g} s: give a number of seconds above 0, at most 86400."
        )
    if options.save is not None:
        from fcsym.paper.typeset import folder

        folder(options.save)  # before the work, not after
    with _progress(len(ROWS)) as step:
        result = audit(Limits(seconds=options.time_limit), progress=step)
    if options.save is not None:
        from fcsym.paper.typeset import write

        write(result, options.save)
    if options.json:
        _put(json.dumps(result.as_dict()))
    else:
        _show(terminal.table("Every printed equation", show.HEAD, list(show.rows(result))))
        _say(show.conclusion(result))
    return DONE if result.decided else FAILED


def _check(options: argparse.Namespace) -> int:
    from fcsym.checking.checker import check

    if options.scheme is not None:
        return _check_scheme(options)

    d = _derivation(options)
    trials = _trials(options, d)  # what is too large is said before the work
    _prove(d)
    with _progress() as step:
        report = check(d, trials, options.seed, target=options.target, progress=step)
    passed = report.passed and d.proof.holds
    if options.json:
        _put(json.dumps(_summary(d, [report])))
    else:
        from fcsym.render import terminal

        _show(terminal.checks(report))
        _say(_conclusion(d, [report]))
    return DONE if passed else FAILED


def _check_scheme(options: argparse.Namespace) -> int:
    from fcsym.render import terminal
    from fcsym.training import scheme

    s = scheme(_network(options), options.scheme, options.order, options.slope_at_kink)
    report, passed = _trained(s, options, options.steps, options.target)
    if options.json:
        _put(json.dumps(_scheme_summary(s, report, passed)))
        return DONE if passed else FAILED
    _show(terminal.checks(report))
    _say(_scheme_conclusion(s, report))
    return DONE if passed else FAILED


def _trained(
    s: Scheme, options: argparse.Namespace, steps: int = 100, target: str = "numpy"
) -> tuple[Report, bool]:  # fmt: skip
    """The proof of a scheme, and the comparison of training by it with autodiff; whether both are as they should be."""
    from fcsym.checking.checker import check

    trials = options.trials if options.trials is not None else max(20, _trials(options, s.base) // 5)
    with _progress() as step:
        step(f"proving {s.name}")
        proof = s.proof
        report = check(s, trials, options.seed, steps=steps, target=target, progress=step)
    return report, report.passed and proof.holds


def _scheme_summary(s: Scheme, report: Report, passed: bool) -> dict[str, Any]:
    return {
        "network": str(s.network), "order": s.order, "scheme": s.name, "steps": report.steps,
        **_counts(s.proof), "passed": passed,
        "checks": [_row(row, "random") for row in report.rows], "left_out": report.left_out,
    }  # fmt: skip


def _scheme_conclusion(s: Scheme, report: Report) -> str:
    from fcsym.language.equation import OPEN, Verdict

    worst = report.worst
    shown = [Verdict.PROVED, Verdict.REFUTED, *(v for v in OPEN if s.proof.count(v))]
    proved = ", ".join(f"{verdict.value.lower()} {s.proof.count(verdict)}" for verdict in shown)
    return (
        f"{s.title.replace(' order', '')}: {proved}; {report.trials} networks trained for {report.steps} steps: "
        f"{'agrees' if report.passed else 'DISAGREES'} with autodiff, worst error {worst.ratio:.2g} of its bound "
        f"({worst.quantity})."
    )


def _cost(options: argparse.Namespace) -> int:
    from fcsym.closed.costs import compare, cost
    from fcsym.errors import ArgumentError
    from fcsym.render import terminal
    from fcsym.schemes import every_scheme

    if options.inputs < 0:
        raise ArgumentError(f"--inputs is {options.inputs}: give a whole number from 0.")
    network = _network(options)
    costs = [cost(s) for s in every_scheme(network, options.order, options.slope_at_kink).values()]
    rows = [
        {
            "scheme": c.scheme, "state": str(c.state), "operations": str(c.operations),
            "state_value": c.at(c.state, options.inputs), "operations_value": c.at(c.operations, options.inputs),
            "against_backprop": "" if c.scheme == "backprop" else compare(c, costs[0], options.inputs),
        }
        for c in costs
    ]  # fmt: skip
    if options.json:
        _put(json.dumps({
            "network": str(network), "order": options.order, "inputs": options.inputs,
            "schemes": {row["scheme"]: {k: v for k, v in row.items() if k != "scheme"} for row in rows},
        }))  # fmt: skip
        return DONE
    _show(terminal.table(
        f"{network}, {options.order} order, m = {options.inputs} distinct inputs",
        ("scheme", "numbers of state", "operations per step", "state", "operations", "against backprop"),
        [[str(row[k]) for k in ("scheme", "state", "operations", "state_value", "operations_value", "against_backprop")]
         for row in rows],
    ))  # fmt: skip
    return DONE


def _claims(options: argparse.Namespace) -> int:
    from fcsym.paper.claims import claims
    from fcsym.render import terminal

    network = _network(options)
    if options.slope_at_kink is not None:
        network = network.with_slope_at_kink(options.slope_at_kink)
    with _progress(7) as step:
        rows = claims(network, step)
    if options.json:
        _put(json.dumps({"network": str(network), "rows": [row.as_dict() for row in rows]}))
        return DONE
    head = ("", "claim", "answer", "derived", "condition", "number")
    cells = [[r.label, r.text, r.answer.value, r.finding, r.condition, r.number] for r in rows]
    _show(terminal.table(f"The paper's claims for {network}, sequential order", head, cells))
    return DONE


def _reproduce(options: argparse.Namespace) -> int:
    from fcsym.paper import experiment
    from fcsym.render import terminal

    if not options.no_figure:
        experiment.require_matplotlib()  # before the work, not after
    with _progress() as step:
        done = experiment.run(options.steps, options.eta, options.seed, step)
        written = experiment.write(done, options.save, figure=not options.no_figure)
    figure = None if options.no_figure else str(written[-1])
    if options.json:
        _put(json.dumps(done.document(figure)))
        return DONE
    _show(
        terminal.table(
            f"XOR, 2-2-1, eta = {done.eta:g}, {options.steps} steps: worst errors over samples and orders",
            ("technique", "|backprop - front|", "paper", "front to exact", "backprop to exact", "diverged"),
            experiment.summary(done),
        ),
        terminal.table(
            f"Runs that leave the floating-point range within {experiment.DIVERGENCE_STEPS} steps, by step size",
            ("eta", "order", "runs", "diverged", "median of the largest factor of a step"),
            [
                [f"{d.eta:g}", d.order, str(d.runs), str(d.diverged), f"{d.largest_factor:.3g}"]
                for d in done.divergences
            ],
        ),
    )
    _show(
        terminal.table(
            "r after n steps on random networks whose units stay active: |sum_j r_j v^c_j - y| / |y|",
            ("steps", "order", "formula", "networks", "median", "worst"),
            [[str(d.steps), d.order, d.formula, str(d.networks), f"{d.median:.1e}", f"{d.worst:.1e}"]
             for d in done.formulas],
        )
    )  # fmt: skip
    _say(f"exact: {done.exact}")
    _say(experiment.why())
    for path in written:
        _say(f"written: {path}")
    return DONE


def _export(options: argparse.Namespace) -> int:

    from fcsym.errors import ArgumentError, CompileError, ExportError
    from fcsym.files import file_name
    from fcsym.kernel.export import TARGETS, export
    from fcsym.language.spelling import check_name
    from fcsym.training import scheme

    if options.target not in TARGETS:
        raise CompileError(f"The target {options.target[:40]!r} is not known: choose one of {', '.join(TARGETS)}.")
    name = check_name(options.name, "--name")
    folder = file_name(options.save)
    made = scheme(_network(options), options.scheme, options.order, options.slope_at_kink)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise ArgumentError(f"The folder {folder} cannot be made ({problem.strerror}): choose another.") from None
    try:
        with _progress() as step:
            step(f"comparing {made.name} of {made.network} with automatic differentiation")
            files = export(made, folder / f"{name}{TARGETS[options.target].suffix}", options.target, options.force)
    except ExportError as problem:
        if options.json:
            _put(json.dumps({"files": [], "checked": False, "error": str(problem)}))
        else:
            return _complain(str(problem), False, FAILED)
        return FAILED
    if options.json:
        _put(json.dumps({"files": [str(file) for file in files], "checked": True}))
    else:
        for file in files:
            _say(f"written: {file}")
        _say(f"{made.name} of {made.network}, {made.order}: agrees with backpropagation by autograd.")
    return DONE
