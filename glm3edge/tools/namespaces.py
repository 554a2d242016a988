"""Sandbox of Linux namespaces, for where ``bwrap`` cannot be used.

A program of its own that imports nothing of this package: ``sandbox.py`` runs its source with
``python -I -S -c``. Its argument is JSON: ``binds``, paths that can be read; ``devices``; ``size``,
bytes of the working folder; ``command``. The command has a file system of these paths only, no
network, a PID namespace of its own, and is killed when this process ends.

    this process        waits, passes the exit code on
    └── process 1       mounts the file system, becomes the command; when it ends, the kernel kills
                        what it started
"""

import ctypes
import json
import os
import signal
import sys

_NEW_MOUNTS, _NEW_GROUPS, _NEW_NAME = 0x00020000, 0x02000000, 0x04000000
_NEW_IPC, _NEW_USER, _NEW_PIDS, _NEW_NETWORK = 0x08000000, 0x10000000, 0x20000000, 0x40000000
_NAMESPACES = _NEW_MOUNTS | _NEW_GROUPS | _NEW_NAME | _NEW_IPC | _NEW_PIDS | _NEW_NETWORK

_NO_SUID, _NO_DEVICES, _NO_EXEC = 2, 4, 8
_BIND, _RECURSIVE, _PRIVATE = 4096, 16384, 1 << 18
_DETACH = 2

_MOUNT_SETATTR = 442  # the same on every architecture; C libraries have it since 2022 only
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_READ_ONLY_ATTR, _NO_SUID_ATTR, _NO_DEVICES_ATTR = 1, 2, 4

_SET_PARENT_DEATH_SIGNAL = 1
_NOBODY = 65534
_INSIDE_ID = 1000
_HOST = b"sandbox"

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Run the command in new namespaces, and exit with its exit code."""
    options = json.loads(sys.argv[1])
    _end_with_parent()
    is_root = os.geteuid() == 0
    _unshare(is_root)
    first = os.fork()
    if first == 0:
        try:
            _end_with_parent()
            _make_file_system(options["binds"], options["devices"], options["size"])
            _call("sethostname", _HOST, len(_HOST))
            if is_root:
                _become_nobody()
            os.execv(options["command"][0], options["command"])  # noqa: S606
        except BaseException as exc:  # the child must not go on as a copy of its parent
            print(exc, file=sys.stderr, flush=True)
            os._exit(125)
    sys.exit(_code_of(os.waitpid(first, 0)[1]))


def _call(name: str, *args: object) -> int:
    result = int(getattr(_libc, name)(*args))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def _end_with_parent() -> None:
    _call("prctl", _SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def _unshare(is_root: bool) -> None:
    """Enter new namespaces. Root needs no user namespace, and is safer without one: in it, it would
    still own what root owns outside."""
    if is_root:
        _call("unshare", _NAMESPACES)
        return
    ids = {"uid_map": os.geteuid(), "gid_map": os.getegid()}
    _call("unshare", _NAMESPACES | _NEW_USER)
    _write("/proc/self/setgroups", "deny")
    for name, outside in ids.items():
        _write(f"/proc/self/{name}", f"{_INSIDE_ID} {outside} 1")


def _write(path: str, text: str) -> None:
    with open(path, "wb") as file:  # text mode would import a codec, which may not be mounted
        file.write(text.encode())


def _become_nobody() -> None:
    os.setgroups([])
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    _end_with_parent()  # the kernel resets it as the user changes


def _make_file_system(binds: list[str], devices: list[str], size: int) -> None:
    """Mount a root of ``binds`` and ``devices``, in which only ``/tmp`` can be written."""
    os.umask(0o022)
    _mount(None, "/", None, _RECURSIVE | _PRIVATE)
    _mount("tmpfs", "/tmp", "tmpfs", _NO_SUID | _NO_DEVICES, "size=1m,mode=755")
    os.chdir("/tmp")  # the host's /tmp is unchanged, beneath this mount
    os.mkdir("old")
    _call("syscall", _pivot_root_number(), b".", b"old")
    os.chdir("/")
    os.mkdir("/tmp")
    flags = _NO_SUID | _NO_DEVICES | _NO_EXEC
    _mount("tmpfs", "/tmp", "tmpfs", flags, f"size={size},mode=1777,nr_inodes=10k")
    for path in binds:  # one of them may be in /tmp
        _bind(path)
        attributes = _READ_ONLY_ATTR | _NO_SUID_ATTR | _NO_DEVICES_ATTR
        _set_attributes(path, attributes, _AT_RECURSIVE)
    for path in devices:
        _bind(path)
    _call("umount2", b"/old", _DETACH)
    os.rmdir("/old")
    _set_attributes("/", _READ_ONLY_ATTR | _NO_SUID_ATTR | _NO_DEVICES_ATTR, 0)
    os.chdir("/tmp")


def _pivot_root_number() -> int:
    """Number of the system call on this architecture; C libraries have no function for it."""
    return {"x86_64": 155, "aarch64": 41, "riscv64": 41}[os.uname().machine]


def _bind(path: str) -> None:
    """Mount ``path`` of the host at the same path; a symbolic link is copied."""
    outside = "/old" + path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.islink(outside):
        os.symlink(os.readlink(outside), path)
        return
    if os.path.isdir(outside):
        os.makedirs(path, exist_ok=True)
    else:
        _write(path, "")
    _mount(outside, path, None, _BIND | _RECURSIVE)


def _mount(
    source: str | None, target: str, kind: str | None, flags: int, data: str | None = None
) -> None:
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    try:
        _call("mount", *texts[:3], ctypes.c_ulong(flags), texts[3])
    except OSError as exc:
        raise OSError(exc.errno, f"{exc.strerror} ({target})") from exc


def _set_attributes(path: str, attributes: int, flags: int) -> None:
    if os.path.islink(path):
        return
    change = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(change))
    at = ctypes.c_int(_AT_FDCWD)
    _call("syscall", _MOUNT_SETATTR, at, os.fsencode(path), flags, change, size)


def _code_of(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    main()
