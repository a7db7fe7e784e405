"""`python -m hpo.cli`, where the console script is not on PATH."""

import sys

from hpo.cli import main

sys.exit(main())
