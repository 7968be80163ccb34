"""``python -m verify.kernels.lanes``."""

import sys

from verify.kernels.lanes import main

sys.exit(main())
