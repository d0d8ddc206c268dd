"""The most memory that this process has held."""

import re
import resource
import sys
from pathlib import Path


def peak_memory_bytes() -> int:
    """Since it began: Linux's ru_maxrss begins at the size of the process that started this one, VmHWM does not."""
    if sys.platform == "linux":
        found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
        if found:
            return 1024 * int(found[1])
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
