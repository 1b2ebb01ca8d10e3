"""`python -m fcsym.paper [FOLDER]`: rebuild the report of the audit, in derivations/paper unless told otherwise."""

import sys

from fcsym.paper import audit
from fcsym.paper.typeset import write

if __name__ == "__main__":
    write(audit(), sys.argv[1] if len(sys.argv) > 1 else "derivations/paper")
