"""Certificates: a derivation or a scheme as a Coq file, which another program checks.

`certificate_of` makes the text, `save` writes it, `certify` has Coq accept it or not. The file states the network, and
proves over the reals, at every width, what the list of equations says.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from fcsym.certificates.checking import Accepted, checked
from fcsym.certificates.file import Certificate, certificate
from fcsym.certificates.scheme import certifiable, scheme_certificate
from fcsym.deriving.gradient import GradientRecord
from fcsym.deriving.record import Record
from fcsym.errors import ArgumentError
from fcsym.files import file_name, refuse_place, write_text
from fcsym.schemes.record import PARTS, PartRecord, SchemeRecord

if TYPE_CHECKING:
    from fcsym.deriving.readable import Shown

__all__ = ["ENDING", "Accepted", "Certificate", "certificate_of", "certify", "save", "writable", "writable_place"]

ENDING = ".v"


def certificate_of(document: Shown) -> Certificate:
    """A derivation => its certificate, with the cases that its proof says cannot occur; or that of a scheme."""
    if isinstance(document, SchemeRecord):
        return scheme_certificate(document)
    if not hasattr(document, "induction"):
        raise ArgumentError(f"certify got {type(document).__name__}: give a derivation or a scheme.")
    if isinstance(document.induction, SchemeRecord):
        return scheme_certificate(document.induction, document.uncertified)
    if isinstance(document, PartRecord) and document.name in PARTS:
        raise ArgumentError(f"{document.heading} is one of four functions: certify the whole scheme.")
    if not isinstance(document, Record) or isinstance(document, GradientRecord):
        raise ArgumentError(f"{document.heading} has no certificate yet: certify a derivation.")
    return certificate(document, document.proof)  # type: ignore[attr-defined]


def certify(document: Shown, *, max_seconds: float = 300, independent: bool = False) -> Accepted:
    """Whether Coq accepts the certificate of a derivation or a scheme, within so many seconds.

    `independent`: have `coqchk`, which shares little with `coqc`, check what was compiled again.
    Raises MissingTool where Coq is not installed, ArgumentError for a limit that is no positive number and for what has
    no certificate.
    """
    return checked(certificate_of(document), max_seconds=max_seconds, independent=independent)


def writable(document: Shown, path: str | os.PathLike[str]) -> Path:
    """The path, if the certificate of a document can be written there, and it has one; ArgumentError otherwise."""
    if isinstance(document, SchemeRecord):
        certifiable(document)
    return writable_place(path)


def writable_place(path: str | os.PathLike[str]) -> Path:
    """The path, if a Coq file can be written there; ArgumentError otherwise."""
    where = file_name(path)
    if where.suffix != ENDING:
        raise ArgumentError(f"{where} is no Coq file: choose a name that ends in {ENDING}.")
    if not re.fullmatch(r"[A-Za-z]\w*", where.stem, re.ASCII):
        raise ArgumentError(
            f"{where} would be refused by Coq for its name: choose letters, digits and _, as in proof{ENDING}."
        )
    refuse_place(where)
    return where


def save(document: Shown, path: str | os.PathLike[str]) -> Path:
    """Write the certificate, and return the path. Raises ArgumentError for a place that cannot be written."""
    where = writable(document, path)
    return write_text(where, certificate_of(document).text)
