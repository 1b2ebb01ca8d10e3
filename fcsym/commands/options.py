"""The options that commands share, and what they ask for: a network, a rule, a derivation."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, get_args

from fcsym.errors import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from fcsym.derivation import Derivation
    from fcsym.deriving.record import Record
    from fcsym.networks.network import Network
    from fcsym.values import Values


MAX_DIGITS = 1000
_NUMBER, _ROOM = 6e-6, 200  # seconds and bytes to read one that a step is given, and to write one that it has
_TERM = 1e-9  # seconds for one term of a sum
_COMPARED = 2e-6  # seconds for one weight, or one term of a sum, at one point of a comparison with autodiff
_FEWEST, _MOST = 50, 1000  # points that are compared unasked
_TRAINED = 1.5e-3  # seconds for each equation of the layers in one step of training beside autodiff
_MOVED = 1.5e-6  # seconds for each weight of each network in it
_FEW_NETWORKS, _MANY_WEIGHTS = 20, 400_000  # that are trained unasked: at least, and of all of them
_FEW_SECONDS = 5.0  # that training may take unasked
_STEPS, _FEW_STEPS = 100, 10  # that are trained unasked: of a short network, and at least
_PACE = 0.03  # seconds for each equation of the layers, whatever the widths; of a command that says nothing else


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


KNOWN: dict[str, Callable[[], tuple[str, ...]]] = {
    "schemes": _schemes, "targets": _targets, "step targets": _step_targets, "activations": _activations,
    "losses": _losses, "rules": _rules, "orders": _literals("Order"), "notations": _literals("Notation"),
    "details": _literals("Detail"),
}  # fmt: skip
"""What there is to choose from, as help says it."""

_NEGATIVE = re.compile(r"-(\d+(/\d+)?|\d*\.\d+)$", re.ASCII)  # -1/2 is no option, as little as -0.5
_LETTERS = re.compile(r"[A-Za-z]+(,[A-Za-z]*)*", re.ASCII)  # what is given to --bias: a network has a digit or a dot

Commands: TypeAlias = "argparse._SubParsersAction[Any]"
"""Where a command adds itself."""


class Usage(Exception):
    """The command line itself is wrong."""


class Parser(argparse.ArgumentParser):
    """A parser that raises Usage, takes no abbreviations and reads what there is to choose from when asked."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**(settings | {"allow_abbrev": False}))  # --jso is no --json
        self._negative_number_matcher = _NEGATIVE

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """The same as argparse's; --bias may stand alone, in front of a network too, and takes a word like yes,no."""
        words = list(sys.argv[1:] if args is None else args)
        for n, word in enumerate(words):
            if word == "--bias" and not _LETTERS.fullmatch("".join(words[n + 1 : n + 2])):
                words[n] = "--bias=yes"
        return super().parse_known_args(words, namespace)

    def format_help(self) -> str:
        """The help, with what there is to choose from as the registries have it: they are read when it is printed."""
        for action in self._actions:
            for key, known in KNOWN.items():
                if action.help and f"{{{key}}}" in action.help:
                    default = (f"{action.default} (default)",) if isinstance(action.default, str) else ()
                    names = (*default, *(name for name in known() if name != action.default))
                    action.help = action.help.replace(f"{{{key}}}", f"{', '.join(names[:-1])} or {names[-1]}")
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """What is wrong, as a sentence."""
        raise Usage(f"{message}; run '{self.prog} --help' to see what is possible.")

    def _print_message(self, message: str, file: Any = None) -> None:
        (file or sys.stderr).write(message)  # argparse's own drops what cannot be written


def network_options(parser: argparse.ArgumentParser, order: bool = True) -> None:
    """A network, and its settings."""
    parser.add_argument("network", help="widths from input to output, such as 2-2-1, or a network file (.toml)")
    network_settings(parser, order)


def network_settings(parser: argparse.ArgumentParser, order: bool = True) -> None:
    """What is said of a network beside its widths."""
    if order:
        parser.add_argument("--order", default="simultaneous", help="{orders}; sequential is the paper's")
    parser.add_argument(
        "--activation", default="relu", metavar="NAME[,NAME]...",
        help="{activations}; or one for each hidden layer, such as relu,tanh",
    )  # fmt: skip
    parser.add_argument(
        "--bias", metavar="yes|no[,yes|no]...", help="a bias in every layer; or one word for each, such as yes,no"
    )
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


def number(text: str) -> float:
    """A number as people write it, 0.5 or 1/2: the type of an option."""
    from fcsym.errors import FcsymError
    from fcsym.language.spelling import exact

    try:
        return float(exact(text, "it"))
    except FcsymError:
        raise argparse.ArgumentTypeError(f"{shown(text)!r} is no number: write one such as 0.5 or 1/2") from None


def check_options(parser: argparse.ArgumentParser) -> None:
    """How much is compared with autodiff."""
    parser.add_argument("--trials", type=int, help="random points to check (default 1000, fewer for large networks)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random points (default 0)")


def values_option(
    parser: argparse.ArgumentParser, what: str, required: bool = False, digits: int = 10, shown: bool = True
) -> None:
    """A values file, and how many digits of its numbers are shown, if any are; `what` they are for, in the help."""
    parser.add_argument(
        "--values", metavar="FILE", required=required,
        help=f"{what}: x, target, eta, weights and biases from a .toml, .json, .npz or .safetensors file",
    )  # fmt: skip
    parser.set_defaults(digits=None, digits_unasked=digits)
    if shown:
        parser.add_argument("--digits", type=int, metavar="D", help=f"significant digits of them (default {digits})")


def values_of(options: argparse.Namespace, network: Network, **needs: Any) -> Values | None:
    """The numbers that are given, for a network, if any are; `needs` as for `fcsym.values.read_values`."""
    from fcsym.values import read_values

    if options.values is None:
        if options.digits is not None:
            raise Usage("--digits says how numbers are shown: give them with --values.")
        return None
    digits_of(options)
    return read_values(network, options.values, **needs)


def digits_of(options: argparse.Namespace) -> int:
    """How many significant digits are shown."""
    from fcsym.errors import ArgumentError

    digits = options.digits_unasked if options.digits is None else options.digits
    if not 1 <= digits <= MAX_DIGITS:
        raise ArgumentError(f"--digits is {digits}: give a whole number from 1 to {MAX_DIGITS}.")
    return int(digits)


def network_of(options: argparse.Namespace) -> Network:
    """The network that is asked for. SizeError where it is so long that the command would take minutes."""
    from fcsym.machine.duration import refuse_longer

    network = _layers(options)
    length, pace = _length(network), getattr(options, "pace", _PACE)
    if getattr(options, "scheme", None) is not None:
        pace = getattr(options, "pace_of_scheme", pace)
    refuse_longer(
        f"The layers of {network} have {length} equations, and {options.command}",
        length * pace, "take fewer layers or steps, the equations of each are the same",
    )  # fmt: skip
    if options.rule is None and options.batch is None and options.samples is None:
        return network
    update = network.rule if options.rule is None else _rule(options.rule)
    batch = network.batch if options.batch is None else options.batch
    return network.training(update, batch, (network.samples or None) if options.samples is None else options.samples)


def refuse_large_step(options: argparse.Namespace, d: Record, network: Network) -> None:
    """SizeError where a step in numbers has so many of them that the command would take long, or much memory."""
    from fcsym.language.work import room, work
    from fcsym.machine.duration import refuse_longer
    from fcsym.machine.memory import refuse_beyond

    given = sum(room((*network.parameters, network.input, network.target), network.sizes))
    step = work(d.equations, network.sizes)
    what = f"A step of {network} is given {given} numbers, has {step.numbers} of its own and {step.terms} terms, and"
    instead = "take a narrower network or fewer samples, the equations are the same"
    numbers = given + step.numbers
    refuse_longer(f"{what} {options.command}", numbers * _NUMBER + step.terms * _TERM, instead)
    refuse_beyond(f"{what} {options.command}", numbers * _ROOM, instead)


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
        raise ArgumentError(f"--rule has {shown(wrong)!r}: write a coefficient as NAME=NUMBER, such as beta=0.9.")
    twice = next((key for n, (key, *_) in enumerate(pairs) if key in [other for other, *_ in pairs[:n]]), None)
    if twice is not None:
        raise ArgumentError(f"--rule gives {twice} twice: give it once.")
    return rule(name, **{key: value for key, _, value in pairs})


def _layers(options: argparse.Namespace) -> Network:
    from fcsym.errors import NetworkError
    from fcsym.networks.network import Network

    text = options.network
    if text.endswith(".toml") or os.sep in text:
        if (options.activation, options.output, options.loss) != (
            "relu",
            "identity",
            "squared",
        ) or options.bias is not None:
            raise NetworkError(
                f"{text} says itself which activations, biases and loss it has: leave --activation, --output, --loss "
                "and --bias out."
            )
        return Network.load(text)
    activation, bias = _one_each(options.activation), _one_each(options.bias or "no", _flag)
    return Network.parse(text, activation, bias, output=options.output, loss=options.loss)


def _one_each(text: str, read: Callable[[str], Any] = str) -> Any:
    """ "relu" => what it says of all layers; "relu,tanh" => a list, one for each."""
    words = [read(word.strip()) for word in text.split(",")]
    return words if len(words) > 1 else words[0]


def _flag(word: str) -> bool:
    known = {"yes": True, "no": False, "true": True, "false": False}
    if word.lower() not in known:
        raise Usage(f"--bias has {shown(word)!r}: write yes or no, or one of them for each layer, such as yes,no.")
    return known[word.lower()]


def derivation_of(options: argparse.Namespace) -> Derivation:
    """The derivation of the network that is asked for."""
    from fcsym.derivation import derive

    return derive(network_of(options), options.order, options.slope_at_kink)


def trials_of(options: argparse.Namespace, d: Record) -> int:
    """1000 points, or as many as a large network can be checked on in a few seconds. SizeError where few take long."""
    from fcsym.language.work import spaces
    from fcsym.machine.duration import refuse_longer

    if options.trials is not None:
        return int(options.trials)
    network = d.network
    size, what = max((_weights(network), "weights"), (max(spaces(d.equations, network.sizes)), "terms in a sum"))
    trials = max(_FEWEST, min(_MOST, 10_000_000 // size))
    refuse_longer(
        f"{network} has {size} {what}, and its comparison with autodiff at {trials} points", trials * size * _COMPARED,
        "say with --trials at how many points, or take a narrower network, the equations are the same",
    )  # fmt: skip
    return trials


def training_of(options: argparse.Namespace, d: Record) -> tuple[int, int]:
    """200 networks and 100 steps, or what a large one trains for in seconds. SizeError where little takes long."""
    from fcsym.checking.trajectory import refuse_large
    from fcsym.machine.duration import refuse_longer

    network, trials, steps = d.network, options.trials, getattr(options, "steps", None)
    weights = _weights(network)
    if trials is None:
        trials = max(_FEW_NETWORKS, min(trials_of(options, d) // 5, _MANY_WEIGHTS // max(1, weights)))
    refuse_large(network, int(trials))  # first: no time that is allowed would help
    if steps is None:
        one = _length(network) * _TRAINED + trials * weights * _MOVED
        steps = max(_FEW_STEPS, min(_STEPS, int(_FEW_SECONDS / one)))
        refuse_longer(
            f"Training {trials} networks {network} beside autodiff for {steps} steps", steps * one,
            "take a narrower network, the equations are the same",
        )  # fmt: skip
    return int(trials), int(steps)


def _length(network: Network) -> int:
    """How many equations its layers have."""
    return len(network.built.equations) if network.built is not None else 2 * len(network.layers)


def _weights(network: Network) -> int:
    """How many there are."""
    return sum(math.prod(network.shape(array)) for array in network.parameters)
