"""The code interpreter's processes in the sandbox: run cells of Python in one namespace.

A program of its own that imports nothing of this package: ``sandbox.py`` runs its source with
``python -I -S -c`` in a file system that has only what it needs. Its argument is JSON: ``paths`` of
modules, and the limits (bytes, seconds).

    process 1   reads cells, continues its child for each, limits its processor time
    └── child   runs the code; stopped by SIGSTOP between two cells, with all its threads

Each line of the input is JSON: ``code``, and a ``marker`` that process 1 writes on a line of its
own to mark the end of the output. The child never sees it, and the end of a cell is that the kernel
reports the child as stopped: whatever the code does to seem done, it does not run any longer.

Before its first cell the child limits its own resources, and gives up system calls that a single
process without network does not need. As process 1 of its namespace its parent takes no signals
from it.
"""

import ast
import builtins
import contextlib
import ctypes
import fcntl
import json
import linecache
import os
import resource
import signal
import socket
import sys
import termios
import threading
import time
import traceback
import types
from typing import Any

_NO_NEW_PRIVILEGES = 38
_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_OTHER_ARCHITECTURE = 2  # the attribute: what comes to a call of another architecture
_NOT_EQUAL, _MASKED_EQUAL = 1, 7
_CLONE_THREAD, _ALL_BITS = 0x10000, 0xFFFFFFFF
_PROCESS_CLOCK, _CHECK_SECONDS = 2, 0.25  # CPUCLOCK_SCHED
_EPERM, _EACCES, _ENOSYS = 1, 13, 38

_REFUSED_CALLS = (
    # other programs and processes: limits are those of one process
    *("fork", "vfork", "execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev"),
    *("kcmp", "pidfd_open", "pidfd_getfd", "pidfd_send_signal", "process_madvise"),
    # memory outside the limits
    *("memfd_create", "memfd_secret", "shmget", "msgget", "semget", "mq_open"),
    # mounts and namespaces
    *("mount", "umount", "umount2", "pivot_root", "chroot", "unshare", "setns", "move_mount"),
    *("open_tree", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "mknod", "mknodat"),
    *("name_to_handle_at", "open_by_handle_at", "fanotify_init", "quotactl", "swapon", "swapoff"),
    # large parts of the kernel that calculations do not need
    *("bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter"),
    *("io_uring_register", "keyctl", "add_key", "request_key", "personality", "syslog", "acct"),
    *("init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot"),
    *("iopl", "ioperm", "modify_ldt", "settimeofday", "clock_settime", "adjtimex"),
    *("clock_adjtime", "sethostname", "setdomainname", "vhangup", "uselib", "lookup_dcookie"),
    *("vmsplice", "io_setup", "seccomp"),
    # signals to come while it is stopped: one of them could be SIGCONT
    "timer_create",
)


def main() -> None:
    """Start the child, and give it cells until input ends."""
    options = json.loads(sys.argv[1])
    cells, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        try:
            _run_cells(cells, options)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    os.close(cells)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # which process 1 does not get
    _wait_stopped(child)
    for line in sys.stdin:
        request = json.loads(line)
        _limit_time(child, options["cpu_seconds"])
        _run_in_child(child, writer, json.dumps(request["code"]).encode() + b"\n")
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.write(1, f"\n{request['marker']}\n".encode())


def _run_in_child(child: int, writer: int, cell: bytes) -> None:
    """Continue the child until it has taken the cell and stops again."""
    os.kill(child, signal.SIGCONT)
    with contextlib.suppress(BrokenPipeError):  # then it has ended
        while cell:
            cell = cell[os.write(writer, cell) :]
    _wait_stopped(child)
    while _num_unread(writer):  # the code of an earlier cell stopped it
        os.kill(child, signal.SIGCONT)
        _wait_stopped(child)


def _wait_stopped(child: int) -> None:
    """Wait until the child stops; if it ends, end in the same way."""
    status = os.waitpid(child, os.WUNTRACED)[1]
    if not os.WIFSTOPPED(status):
        code = os.waitstatus_to_exitcode(status)
        sys.exit(code if code >= 0 else 128 - code)


def _num_unread(pipe: int) -> int:
    """Bytes in a pipe."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def _limit_time(child: int, seconds: float) -> None:
    """Kill the child once it has taken so much more processor time.

    Not by RLIMIT_CPU, whose signal the code can ignore.
    """
    clock = ~child << 3 | _PROCESS_CLOCK
    end = time.clock_gettime(clock) + seconds

    def check(*_signal: object) -> None:
        with contextlib.suppress(OSError):  # it has just ended
            if time.clock_gettime(clock) > end:
                os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGALRM, check)
    signal.setitimer(signal.ITIMER_REAL, _CHECK_SECONDS, _CHECK_SECONDS)


def _run_cells(cells: int, options: dict[str, Any]) -> None:
    """Run cells, each a line of JSON, and stop before each."""
    sys.path += options["paths"]
    _replace_streams()
    _limit_resources(options)
    _refuse_calls()
    _check_isolation()
    module = types.ModuleType("__main__")
    module.__dict__.update(__builtins__=builtins, exit=sys.exit, quit=sys.exit)
    sys.modules["__main__"] = module
    os.kill(os.getpid(), signal.SIGSTOP)
    for number, line in enumerate(os.fdopen(cells, encoding="utf-8")):
        _run_cell(json.loads(line), f"<cell {number}>", module.__dict__)
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
        os.write(1, b"")  # which fails if the code has closed it
        os.kill(os.getpid(), signal.SIGSTOP)


def _replace_streams() -> None:
    """Make standard input empty, and errors part of the output, in order."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(1, 2)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]


def _limit_resources(options: dict[str, Any]) -> None:
    limits = {
        resource.RLIMIT_AS: options["memory"],
        resource.RLIMIT_FSIZE: options["file_size"],
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_NPROC: 64,  # threads
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    for kind, wanted in limits.items():
        most = resource.getrlimit(kind)[1]
        value = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(kind, (value, value))


class _Comparison(ctypes.Structure):
    """libseccomp's ``struct scmp_arg_cmp``."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def _refuse_calls() -> None:
    """Load a seccomp filter with libseccomp, for good.

    Raises:
        OSError: there is no libseccomp, or the kernel has no filters.
    """
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_attr_set.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32)
    library.seccomp_load.argtypes = (ctypes.c_void_p,)
    library.seccomp_rule_add_array.argtypes = (
        *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint),
        ctypes.POINTER(_Comparison),
    )
    filters = library.seccomp_init(ctypes.c_uint32(_ALLOW))
    _check(
        "seccomp_attr_set", library.seccomp_attr_set(filters, _OTHER_ARCHITECTURE, _KILL_PROCESS)
    )

    def refuse(name: str, error: int, *comparisons: _Comparison) -> None:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:  # not on this architecture, or newer than the library
            return
        conditions = (_Comparison * len(comparisons))(*comparisons)
        result = library.seccomp_rule_add_array(
            filters, _ERRNO | error, number, len(comparisons), conditions
        )
        _check(f"seccomp_rule_add {name}", result)

    for name in _REFUSED_CALLS:
        refuse(name, _EPERM)
    refuse("clone", _EPERM, _Comparison(0, _MASKED_EQUAL, _CLONE_THREAD, 0))
    refuse("clone3", _ENOSYS)  # filters cannot read its flags; C libraries fall back to clone
    refuse("fcntl", _EPERM, _Comparison(1, _MASKED_EQUAL, _ALL_BITS, fcntl.F_SETSIG))
    for name in ("socket", "socketpair"):
        refuse(name, _EACCES, _Comparison(0, _NOT_EQUAL, socket.AF_UNIX, 0))
    refuse("connect", _EACCES)
    refuse("bind", _EACCES)
    _check("prctl", ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    _check("seccomp_load", library.seccomp_load(filters))


def _check(name: str, result: int) -> None:
    if result != 0:
        raise OSError(-result, f"{name}: {os.strerror(abs(result))}")


def _check_isolation() -> None:
    """Try what must fail, before any cell runs."""
    seen = [path for path in ("/etc/passwd", "/proc/self", "/sys/kernel") if os.path.exists(path)]  # noqa: PTH110
    if seen:
        raise RuntimeError(f"{seen[0]} can be seen")
    for name, attempt in (("fork", os.fork), ("socket", socket.socket)):
        try:
            attempt()
        except PermissionError:
            continue
        raise RuntimeError(f"{name} is not refused")
    if threading.active_count() != 1:
        raise RuntimeError("a thread was there before the filter")


def _run_cell(code: str, name: str, namespace: dict[str, Any]) -> None:
    """Run ``code`` and print the value of a last expression, as the interactive Python does."""
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    try:
        tree = ast.parse(code, name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, name, "exec"), namespace)  # noqa: S102 - its purpose
        if isinstance(last, ast.Expr):
            expression = ast.Expression(last.value)
            value = eval(compile(expression, name, "eval"), namespace)  # noqa: S307
            if value is not None:
                print(repr(value))  # noqa: T201
    except BaseException as exc:  # not even SystemExit ends the session
        trace = exc.__traceback__
        traceback.print_exception(type(exc), exc, trace and trace.tb_next)


if __name__ == "__main__":
    main()
