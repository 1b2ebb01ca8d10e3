"""Numbers for a network: read exactly, and taken through training steps in fractions or in balls."""

from fcsym.values.exact import Trained, cases_at, exact_step, numbers, trained
from fcsym.values.given import Values, given_for, read_values, values_of

__all__ = ["Trained", "Values", "cases_at", "exact_step", "given_for", "numbers", "read_values", "trained", "values_of"]
