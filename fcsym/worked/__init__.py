"""Anybody's worked example, decided: each printed number held against the derivation, and the slip that explains it."""

from fcsym.worked.audit import AuditedExample, Row, audit_example
from fcsym.worked.claims import Claim, Example, read_example

__all__ = ["AuditedExample", "Claim", "Example", "Row", "audit_example", "read_example"]
