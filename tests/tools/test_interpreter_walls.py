"""Walls of the code interpreter: attempts to get out of it, and systems that cannot shut it in.

Each attempt is code that a model could write. It runs in the real process in the sandbox that
this system offers; what it must not reach is really there outside.
"""

import asyncio
import os
import re
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from glm3edge.tools.errors import SandboxError
from glm3edge.tools.interpreter import CodeInterpreter
from tests.support.cells import run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("sandbox")]


# --- files


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("the secret")
    path.chmod(0o644)
    return path


def test_files_of_the_system_and_the_user_are_not_there(secret: Path) -> None:
    paths = [
        *("/etc/passwd", "/etc/shadow", "/etc/hostname", "/proc/self/environ", "/proc/1/root"),
        *("/sys/kernel", "/var", "/run", "/dev/tty", "/dev/mem", "/dev/vda", "/old", str(secret)),
        *(str(Path(__file__)), str(Path.home() / ".bashrc"), str(Path.home() / ".ssh")),
        *("../../../etc/passwd", "/tmp/../etc/passwd"),  # noqa: S108
    ]
    assert secret.read_text() == "the secret"
    for reply in run(*(f"import os\nos.stat({path!r})" for path in paths)):
        assert "FileNotFoundError" in reply


def test_the_machine_has_no_name_inside() -> None:
    assert run("import os; os.uname().nodename") == ["'sandbox'"]


def test_a_link_leads_to_nothing_outside(secret: Path) -> None:
    code = f"import os\nos.symlink({str(secret)!r}, 'link')\nopen('link').read()"
    assert "FileNotFoundError" in run(code)[0]


def test_nothing_can_be_written_but_in_the_working_folder() -> None:
    folders = ("/", "/usr", "/usr/bin", "/etc", "/dev", "/lib", str(Path(os.__file__).parent))
    cells = [f"open({folder!r} + '/glm3edge-test', 'w').write('x')" for folder in folders]
    *replies, last = run(*cells, "open('here', 'w').write('x'); open('here').read()")
    for folder, reply in zip(folders, replies, strict=True):
        assert re.search("Read-only file system|Permission denied|No such file", reply), folder
        assert not Path(folder, "glm3edge-test").exists()
    assert last == "'x'"


def test_pythons_own_files_cannot_be_changed() -> None:
    path = os.__file__
    before = Path(path).stat()
    cells = (f"open({path!r}, 'a')", f"os.unlink({path!r})", f"os.chmod({path!r}, 0)")
    for reply in run("import os", *cells)[1:]:
        assert re.search("Read-only file system|Operation not permitted|Permission denied", reply)
    after = Path(path).stat()
    assert (after.st_size, after.st_mode) == (before.st_size, before.st_mode)


# --- network


@pytest.fixture
def listener() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


def test_it_cannot_connect_even_to_this_machine(listener: tuple[str, int]) -> None:
    with socket.create_connection(listener):
        pass  # here it can be reached
    for reply in run(
        f"import socket; socket.create_connection({listener!r})",
        "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('1.1.1.1', 53))",
        "import socket; socket.socket(socket.AF_INET6)",
        "import socket; socket.socket(40, socket.SOCK_STREAM)",  # to the host of a virtual machine
        "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n"
        "if libc.socket(2, 1, 0) == -1: raise OSError(ctypes.get_errno(), 'refused')",
    ):
        assert "PermissionError" in reply
    assert "socket.gaierror" in run("import socket; socket.getaddrinfo('localhost', 80)")[0]


def test_it_cannot_reach_unix_sockets_of_other_programs(tmp_path: Path) -> None:
    name = f"\0glm3edge-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(name)
        reply = run(f"import socket; socket.socket(socket.AF_UNIX).connect({name!r})")[0]
    assert "PermissionError" in reply


# --- processes


REFUSED = (
    "os.fork()",
    "os.posix_spawn('/bin/true', ['true'], {})",
    "os.execv('/bin/true', ['true'])",
    "subprocess.run(['true'])",
    "multiprocessing.Process(target=print).start()",
    "check(libc.vfork())",
    "check(libc.unshare(0x10000000))",
    "check(libc.setns(0, 0))",
    "check(libc.mount(b'none', b'/tmp', b'tmpfs', 0, None))",
    "check(libc.umount2(b'/tmp', 2))",
    "os.chroot('/tmp')",
    "check(libc.ptrace(16, 1, 0, 0))",
    "os.memfd_create('x')",
    "check(libc.syscall(NUMBERS['bpf'], 0, 0, 0))",
    "check(libc.syscall(NUMBERS['io_uring_setup'], 8, 0))",
    "check(libc.syscall(NUMBERS['keyctl'], 0, 0))",
    "check(libc.syscall(NUMBERS['userfaultfd'], 0))",
    "check(libc.syscall(NUMBERS['perf_event_open'], 0, 0, 0, 0, 0))",
    "check(libc.syscall(NUMBERS['clone'], 17, 0, 0, 0, 0))",
    "check(libc.shmget(0, 4096, 0o1600))",
    "os.setuid(0)",
    "os.setgroups([0])",
    "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    "check(libc.timer_create(0, None, ctypes.byref(ctypes.c_void_p())))",
    "fcntl.fcntl(1, fcntl.F_SETSIG, 18)",
    "os.mknod('node', 0o20600, 257)",
    "os.nice(-5)",
)


def test_other_processes_programs_and_rights_are_refused() -> None:
    head = """
        import ctypes, fcntl, multiprocessing, os, platform, resource, subprocess
        multiprocessing.set_start_method("fork", force=True)
        libc = ctypes.CDLL(None, use_errno=True)
        NAMES = ("bpf", "io_uring_setup", "keyctl", "userfaultfd", "perf_event_open", "clone")
        X86, ARM = (321, 425, 250, 323, 298, 56), (280, 425, 219, 282, 241, 220)
        NUMBERS = dict(zip(NAMES, X86 if platform.machine() == "x86_64" else ARM))
        def check(result):
            if result == -1:
                raise OSError(ctypes.get_errno(), "refused")
            if result == 0:
                os._exit(0)
    """
    refusals = "PermissionError|ValueError: not allowed to raise|Invalid argument"  # no such user
    for code, reply in zip(REFUSED, run(head, *REFUSED)[1:], strict=True):
        assert re.search(refusals, reply), (code, reply)


def test_clone3_does_not_slip_by() -> None:
    code = "import ctypes; libc = ctypes.CDLL(None, use_errno=True); libc.syscall(435, 0, 0)"
    assert run(code, "ctypes.get_errno()") == ["-1", "38"]


def test_it_can_neither_see_nor_kill_other_processes() -> None:
    mine = os.getpid()
    cells = [
        f"import os; os.kill({mine}, 9)",
        "os.kill(os.getppid(), 9); 'sent'",  # the first process of its namespace takes no signal
        "os.kill(1, 15); 'sent'",
        "os.kill(-1, 9); 'sent'",
        "os.getpid() < 10",
    ]
    first, *others = run(*cells)
    assert "ProcessLookupError" in first
    assert others[-1] == "True"


def test_no_variable_of_the_environment_and_no_open_file_gets_in(
    monkeypatch: pytest.MonkeyPatch, secret: Path
) -> None:
    monkeypatch.setenv("GLM3EDGE_API_KEY", "sk-secret")
    monkeypatch.setenv("HF_TOKEN", "hf-secret")
    with secret.open() as file:
        os.set_inheritable(file.fileno(), True)
        environ, argv, kinds = run(
            "import os, sys; dict(os.environ)",
            "sys.argv, sys.orig_argv, vars(sys.modules['__main__'])",
            """
            import stat
            found = set()
            for number in range(256):
                try:
                    mode = os.fstat(number).st_mode
                except OSError:
                    continue
                found.add({0o010000: "pipe", 0o020000: "null"}.get(stat.S_IFMT(mode), oct(mode)))
            sorted(found)
            """,
        )
    for word in ("sk-secret", "hf-secret", str(secret)):
        assert word not in environ + argv
    assert str(Path.home()) not in environ
    assert kinds == "['null', 'pipe']"


# --- where it cannot be


def refusal(start: Callable[[], Awaitable[object]]) -> str:
    async def main() -> None:
        await start()

    with pytest.raises(SandboxError) as caught:
        asyncio.run(main())
    return str(caught.value)


def test_it_stays_off_on_systems_that_cannot_shut_it_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    assert refusal(CodeInterpreter().__aenter__) == (
        "the code interpreter stays off: Darwin cannot isolate a program as Linux can. "
        "Run glm3edge chat on Linux, in WSL 2 or in a virtual machine"
    )


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"libseccomp.so.2"', '"libmissing.so.2"', "libmissing.so.2: cannot open shared object"),
        ("    _refuse_calls()\n", "", "fork is not refused"),
    ],
)
def test_it_stays_off_where_a_wall_is_missing(
    monkeypatch: pytest.MonkeyPatch, old: str, new: str, reason: str
) -> None:
    import glm3edge.tools.sandbox as module

    whole = module._source

    def without(name: str) -> str:
        text = whole(name)
        assert name != "session" or old in text
        return text.replace(old, new)

    monkeypatch.setattr(module, "_source", without)
    assert reason in refusal(CodeInterpreter().__aenter__)


def test_it_stays_off_where_files_can_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    import glm3edge.tools.sandbox as module

    monkeypatch.setattr(module, "_SETTINGS", ("/etc",))
    assert "/etc/passwd can be seen" in refusal(CodeInterpreter().__aenter__)
