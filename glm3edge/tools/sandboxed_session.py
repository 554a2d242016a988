"""The code interpreter's process in the sandbox: runs cells of Python in one namespace.

A program of its own that imports nothing of this package: ``sandbox.py`` runs its source with
``python -I -S -c`` in a file system that has only what it needs. Before it reads the first cell it
limits its own resources, and gives up system calls that a single process without network does not
need. Its argument is JSON: ``paths`` of modules, and the limits (bytes, seconds).

Each line of its input is JSON: ``code``, and a ``marker`` that it writes on a line of its own after
the code's output, to mark the end.
"""

import ast
import builtins
import ctypes
import json
import linecache
import os
import resource
import socket
import sys
import threading
import traceback
import types
from typing import Any

_NO_NEW_PRIVILEGES = 38
_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_OTHER_ARCHITECTURE = 2  # the attribute: what comes to a call of another architecture
_NOT_EQUAL, _MASKED_EQUAL = 1, 7
_CLONE_THREAD = 0x10000
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
)


def main() -> None:
    """Run cells until input ends."""
    options = json.loads(sys.argv[1])
    sys.path += options["paths"]
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    _replace_streams()
    _limit_resources(options)
    _refuse_calls()
    _check_isolation()
    module = types.ModuleType("__main__")
    module.__dict__.update(__builtins__=builtins, exit=sys.exit, quit=sys.exit)
    sys.modules["__main__"] = module
    for number, line in enumerate(requests):
        request = json.loads(line)
        _limit_time(options["cpu_seconds"])
        _run_cell(request["code"], f"<cell {number}>", module.__dict__)
        _finish(request["marker"])


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
    total = options["total_cpu_seconds"]
    resource.setrlimit(resource.RLIMIT_CPU, (total, total))


def _limit_time(seconds: int) -> None:
    """Limit the processor time of the next cell, on top of what was used before."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = min(int(used.ru_utime + used.ru_stime) + seconds, most)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, most))


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


def _finish(marker: str) -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()
    os.write(1, f"\n{marker}\n".encode())


if __name__ == "__main__":
    main()
