"""Questions to z3 that Ctrl-C ends.

z3 takes the signal for itself while it thinks, and then says that it does not know: the interruption would be lost, and
a verdict in its place. So a question is asked beside the main thread, which waits, hears the signal and stops z3.
"""

from __future__ import annotations

import threading
from typing import Any

import z3

__all__ = ["check", "simplified"]


def check(solver: z3.Solver) -> Any:
    """sat, unsat or unknown, as `solver.check()` says. Raises KeyboardInterrupt where the user stops it."""
    solver.set("ctrl_c", False)
    if threading.current_thread() is not threading.main_thread():
        return solver.check()  # signals arrive in the main thread
    answers: list[Any] = []
    asked_by: dict[str, str] = {}
    over = threading.Event()

    def ask() -> None:
        try:
            if asked_by.setdefault("who", "z3") == "z3":
                answers.append(solver.check())
        except BaseException as problem:
            answers.append(problem)
        finally:
            over.set()

    heard: BaseException | None = None
    while True:
        try:
            if heard is None:
                threading.Thread(target=ask, name="z3", daemon=True).start()
                over.wait()
                break
            if over.is_set() or asked_by.setdefault("who", "nobody") == "nobody":
                break
            solver.ctx.interrupt()  # again and again: z3 may not have begun to listen
            over.wait(0.02)
        except BaseException as problem:
            heard = heard or problem
    if heard is not None:
        raise heard
    if isinstance(answers[0], BaseException):
        raise answers[0]
    return answers[0]


def simplified(term: Any, **options: Any) -> Any:
    """`z3.simplify`, which says "canceled" where the user stops it: KeyboardInterrupt then."""
    try:
        return z3.simplify(term, **options)
    except z3.Z3Exception as problem:
        if "cancel" in str(problem) or "interrupt" in str(problem):
            raise KeyboardInterrupt from None
        raise
