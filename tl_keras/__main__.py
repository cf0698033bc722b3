"""`python -m tl_keras SUBCOMMAND`: the same as the console script `tl-keras`."""

import sys

from tl_keras.commands.console import main

if __name__ == "__main__":
    sys.exit(main())
