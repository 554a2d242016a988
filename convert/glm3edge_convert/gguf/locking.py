"""A lock on an open file, which goes with the process that holds it, however that ends."""

from __future__ import annotations

import errno
import sys
from typing import TYPE_CHECKING

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from typing import BinaryIO

_TAKEN = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}


def try_lock(file: BinaryIO) -> bool | None:
    """Lock `file` until it is closed; False if another process has it, None if nobody can have it.

    Some file systems, of networks mostly, know no locks.
    """
    try:
        if sys.platform == "win32":
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        return False if exc.errno in _TAKEN else None
    return True
