"""The commands of the command line, one file each: `add` declares its options, `run` does it.

Everything that needs algebra is imported by the command that needs it.
"""

__all__ = ["COMMANDS"]

COMMANDS = (
    "derive", "step", "gradient", "cases", "audit", "check", "accuracy", "cost", "collapse", "claims", "certify",
    "reproduce", "export",
)  # fmt: skip
"""In the order of the help; each is the module of that name in this folder."""
