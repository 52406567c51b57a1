"""Processes through joblib: processes.py COUNT AT_ONCE CMD.."""

import subprocess
import sys

from joblib import Parallel, delayed

count, at_once, *command = sys.argv[1:]
ended = Parallel(n_jobs=int(at_once))(delayed(subprocess.run)(command) for _ in range(int(count)))
sys.exit(sum(one.returncode == 0 for one in ended) != int(count))
