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

    def ask() -> None:
        try:
            answers.append(solver.check())
        except BaseException as problem:
            answers.append(problem)

    thread = threading.Thread(target=ask, name="z3", daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:
        while thread.is_alive():  # z3 may not have begun to listen
            solver.ctx.interrupt()
            thread.join(0.02)
        raise
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
