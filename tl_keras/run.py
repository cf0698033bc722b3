"""`python -m tl_keras.run EXPERIMENT`: the same as `tl-keras run EXPERIMENT`."""

import sys

from tl_keras.commands.run import main

if __name__ == "__main__":
    sys.exit(main())
