"""Numbers for a network: read exactly, and taken through training steps in fractions or in balls."""

from fcsym.values.exact import Trained, exact_step, numbers, trained
from fcsym.values.given import Values, read_values, values_of

__all__ = ["Trained", "Values", "exact_step", "numbers", "read_values", "trained", "values_of"]
