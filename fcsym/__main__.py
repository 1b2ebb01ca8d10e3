"""`python -m fcsym`."""

import sys

from fcsym.cli import main

sys.exit(main())
