"""``python -m bmsem`` is the same as the command ``bmsem``."""

import sys

from bmsem.cli import main

if __name__ == "__main__":
    sys.exit(main())
