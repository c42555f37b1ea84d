"""`python -m mtl_core …`: the command line."""

import sys

from mtl_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
