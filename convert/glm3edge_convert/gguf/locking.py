"""Lock of an open file, which ends with the process that holds it, however that ends."""

import errno
import sys
from typing import BinaryIO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_TAKEN = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}


def try_lock(file: BinaryIO) -> bool | None:
    """Lock ``file`` until it is closed.

    Returns:
        True if it is locked now, False if another process has it, None if the file system has no
        locks, as some of networks.
    """
    try:
        if sys.platform == "win32":
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        return False if exc.errno in _TAKEN else None
    return True
