"""``python -m verify.kernels.lanes``."""

import argparse
import sys

from verify.kernels.lanes import main

parser = argparse.ArgumentParser(prog="python -m verify.kernels.lanes", description="Prove that no lane overflows.")
parser.parse_args()
sys.exit(main())
