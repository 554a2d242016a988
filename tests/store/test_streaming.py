"""Conversion while the weights are downloaded, from a hub on loopback that counts what it sends."""

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from huggingface_hub import constants

from glm3edge.store.hub import transfer
from glm3edge.store.hub.clients import Hub
from glm3edge.store.hub.download import MeteredFile
from glm3edge.store.hub.errors import DownloadBrokenError
from glm3edge.store.hub.huggingface import HuggingFace
from glm3edge.store.hub.modelscope import ModelScope
from glm3edge.store.hub.names import HubName, parse_name
from glm3edge.store.store import Store
from glm3edge_convert import convert
from glm3edge_convert.errors import CheckpointError, DiskFullError, ImatrixError
from glm3edge_convert.progress import Step
from tests.support.checkpoints import edit_shard, merge_shards, reshard, set_value
from tests.support.cli import HANG_SECONDS
from tests.support.encoders import make_bert
from tests.support.hub_server import CHUNK_BYTES, HubServer, hub_server
from tests.support.modelscope_server import modelscope_server
from tests.support.small_disk import on_small_disk

pytestmark = pytest.mark.slow

NUM_SHARDS = 6


@dataclass
class Home:
    """A hub with one repository, ``o/tiny``, and the caches of someone who pulls from it."""

    server: HubServer
    hub: Hub
    folder: Path
    checkpoint: Path
    prefix: str = ""

    @property
    def cache(self) -> Path:
        return self.folder / "cache" / "converted"

    @property
    def environment(self) -> dict[str, str]:
        """That of a process which pulls from the same hub into the same caches."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        return own | {
            "HF_ENDPOINT": self.server.url,
            "HF_HUB_CACHE": str(self.folder / "hub"),
            "GLM3EDGE_CACHE_DIR": str(self.folder / "cache"),
        }

    def push(self) -> None:
        revision = "master" if self.prefix else "main"
        files = {path.name: path.read_bytes() for path in sorted(self.checkpoint.iterdir())}
        self.server.push("o/tiny", files, revision=revision)

    def name(self, choice: str = "") -> HubName:
        name = parse_name(f"{self.prefix}o/tiny{choice}")
        assert name is not None
        return name

    def store(self, report: Callable[[Step], None] | None = None) -> Store:
        return Store(self.folder / "cache", progress=report)

    def pull(
        self, report: Callable[[Step], None] | None = None, *, quant_type: str = "q4_k_m"
    ) -> Path:
        path = self.store(report).pull(self.name(f":{quant_type}")).converted
        assert path is not None
        return path

    def weights(self) -> list[str]:
        suffixes = {".safetensors", ".bin"}
        return sorted(p.name for p in self.checkpoint.iterdir() if p.suffix in suffixes)

    def whole(self, quant_type: str = "q4_k_m") -> bytes:
        """What the two-step way makes of it."""
        folder = self.folder / "tiny"  # the model's name is the folder's
        shutil.copytree(self.checkpoint, folder, dirs_exist_ok=True)
        convert(folder, self.folder / "whole.gguf", quant_type=quant_type, overwrite=True)
        return (self.folder / "whole.gguf").read_bytes()

    def left_over(self) -> list[str]:
        """Hidden files and folders beside the converted ones."""
        return sorted(path.name for path in self.cache.glob(".*"))

    def blobs(self) -> list[Path]:
        """Weights in the hub's own cache."""
        return [path for path in (self.folder / "hub").rglob("*") if path.name in self.weights()]


class Ledger:
    """What came of each file of the weights, looked at after each run."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._on_the_way: dict[str, int] = {}
        self._done: set[str] = set()

    def check(self) -> None:
        """No byte was asked for that was on the disk before, or had been converted."""
        requested = set()
        for name in self._home.weights():
            for given, _ in self._home.server.bodies(name):
                start = int(given.removeprefix("bytes=").partition("-")[0]) if given else 0
                assert start == self._on_the_way.get(name, 0)
                assert name not in self._done
                requested.add(name)
        parts = self._home.cache.rglob("*.incomplete")
        before = self._on_the_way
        self._on_the_way = {path.stem: path.stat().st_size for path in parts}
        self._done |= (requested | before.keys()) - self._on_the_way.keys()
        self._home.server.requests.clear()


@pytest.fixture(params=["huggingface", "modelscope"])
def any_home(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tiny_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Home]:
    yield from _home(request.param, tmp_path, tiny_checkpoint, monkeypatch)


@pytest.fixture
def home(tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    yield from _home("huggingface", tmp_path, tiny_checkpoint, monkeypatch)


def _home(
    kind: str, folder: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Home]:
    for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "MODELSCOPE_API_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", CHUNK_BYTES)
    copy = Path(shutil.copytree(checkpoint, folder / "checkpoint"))
    reshard(copy, NUM_SHARDS)
    is_scope = kind == "modelscope"
    with modelscope_server() if is_scope else hub_server() as server:
        client = ModelScope if is_scope else HuggingFace
        hub = client(endpoint=server.url, cache_dir=folder / "hub")
        monkeypatch.setattr("glm3edge.store.store.client_for", lambda _: hub)
        home = Home(server, hub, folder, copy, "modelscope:" if is_scope else "")
        home.push()
        yield home


def as_it_is(_checkpoint: Path) -> None:
    pass


def in_bin(checkpoint: Path) -> None:
    reshard(checkpoint, 3, suffix=".bin")


def in_one(checkpoint: Path) -> None:
    reshard(checkpoint, 2)
    merge_shards(checkpoint)


@pytest.mark.parametrize("arrange", [as_it_is, in_bin, in_one])
def test_the_bytes_are_equal_and_each_file_comes_once(
    any_home: Home, arrange: Callable[[Path], None]
) -> None:
    home = any_home
    arrange(home.checkpoint)
    home.push()
    path = home.pull()
    assert path.read_bytes() == home.whole()
    for name in home.weights():
        size = (home.checkpoint / name).stat().st_size
        assert home.server.bodies(name) == [(None, size)]
    assert home.blobs() == []
    assert home.left_over() == []
    (model,) = home.store().models()
    assert model.path == path
    home.server.requests.clear()
    assert home.store().find(f"{home.prefix}o/tiny:q4_k_m") == path
    assert home.server.requests == []
    assert home.pull() == path  # asks for the commit, and finds the file
    assert not set(home.weights()) & home.server.paths()


def test_serve_converts_the_same_way(home: Home) -> None:
    path = home.store().find("o/tiny")
    assert path.read_bytes() == home.whole()
    assert home.blobs() == []


def test_the_disk_holds_the_result_and_two_files_at_most(home: Home) -> None:
    sizes = []

    def watch(_step: Step) -> None:
        found = [path.stat() for path in home.cache.rglob("*") if path.is_file()]
        sizes.append(sum(min(status.st_size, status.st_blocks * 512) for status in found))

    path = home.pull(watch)
    largest = sorted((home.checkpoint / name).stat().st_size for name in home.weights())[-2:]
    slack = 2**14  # journal and locks, in blocks
    assert max(sizes) <= path.stat().st_size + sum(largest) + slack
    total = sum((home.checkpoint / name).stat().st_size for name in home.weights())
    assert path.stat().st_size + sum(largest) + slack < total


def test_a_disk_that_has_no_room_for_the_checkpoint(home: Home) -> None:
    """Of 4 MiB: the checkpoint has 6.9, the result 1.7 and the two largest files 2.1."""
    reshard(home.checkpoint, 20)
    home.push()
    disk = home.folder / "disk"
    disk.mkdir()
    pull = f"{sys.executable} -m glm3edge pull o/tiny:q2_k --cache-dir {disk}"
    (home.folder / "whole.gguf").write_bytes(home.whole("q2_k"))
    compare = f"cmp {disk}/converted/*.gguf {home.folder}/whole.gguf"
    result = subprocess.run(
        [*on_small_disk(disk), "sh", "-c", f"{pull} && {compare}"],
        env=home.environment,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_one_bar_counts_the_bytes_of_both(home: Home) -> None:
    seen: list[Step] = []
    path = home.pull(seen.append)
    done = [step.num_bytes_done for step in seen]
    assert done == sorted(done)
    assert {step.num_bytes for step in seen} == {done[-1]}
    weights = sum((home.checkpoint / name).stat().st_size for name in home.weights())
    assert weights < done[-1] < weights + path.stat().st_size
    assert seen[-1].count == f"{NUM_SHARDS} of {NUM_SHARDS} files, 31 of 31 tensors"


def test_a_complete_checkpoint_is_used_and_stays(any_home: Home) -> None:
    home = any_home
    home.store().pull(home.name())
    home.server.requests.clear()
    assert home.pull().read_bytes() == home.whole()
    assert len(home.blobs()) == NUM_SHARDS
    assert not set(home.weights()) & home.server.paths()


def test_files_that_are_there_already_are_used_and_stay(any_home: Home) -> None:
    home = any_home
    listing = home.hub.listing(home.name())
    there, rest = home.weights()[:2], home.weights()[2:]
    home.hub.fetch(listing, there, None)
    home.server.requests.clear()
    assert home.pull().read_bytes() == home.whole()
    assert sorted(path.name for path in home.blobs()) == there
    assert set(home.weights()) & home.server.paths() == set(rest)


def test_weights_that_changed_are_not_those_of_the_cache(any_home: Home) -> None:
    """They have the same names and sizes, and ModelScope's folder is one for all states."""
    home = any_home
    home.store().pull(home.name())
    changed = home.weights()[0]
    edit_shard(home.checkpoint, changed, lambda ts: set_value(ts, min(ts), 1.5))
    home.push()
    home.server.requests.clear()
    assert home.pull(quant_type="f16").read_bytes() == home.whole("f16")
    assert set(home.weights()) & home.server.paths() == {changed}


def test_weights_that_are_to_be_kept(home: Home) -> None:
    pulled = home.store().pull(home.name(":q4_k_m"), keep=True)
    assert pulled.converted is not None
    assert pulled.converted.read_bytes() == home.whole()
    assert pulled.missing == ()
    assert len(home.blobs()) == NUM_SHARDS


def test_a_broken_download_goes_on_in_the_next(
    any_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = any_home
    monkeypatch.setattr(transfer, "MAX_STALLS", 1)
    name = home.weights()[3]
    size = (home.checkpoint / name).stat().st_size
    cut = 10 * CHUNK_BYTES
    home.server.cuts[f"/{name}"] = [cut, *[0] * 100]
    with pytest.raises(DownloadBrokenError):
        home.pull()
    home.server.cuts.clear()
    ledger = Ledger(home)
    ledger.check()
    assert home.pull().read_bytes() == home.whole()
    assert home.server.bodies(name) == [(f"bytes={cut}-", size - cut)]
    ledger.check()
    assert home.left_over() == []


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_an_interruption_keeps_what_came(home: Home, share: float) -> None:
    def interrupt(step: Step) -> None:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and step.num_bytes_done > share * step.num_bytes:
            raise KeyboardInterrupt

    ledger = Ledger(home)
    with pytest.raises(KeyboardInterrupt):
        home.pull(interrupt)
    ledger.check()
    assert not [t for t in threading.enumerate() if t.name.startswith("convert")]
    assert home.pull().read_bytes() == home.whole()
    ledger.check()
    assert home.left_over() == []


def test_what_can_never_be_converted_leaves_nothing(home: Home) -> None:
    last = home.weights()[-1]
    edit_shard(home.checkpoint, last, lambda ts: set_value(ts, next(iter(ts)), float("nan")))
    home.push()
    with pytest.raises(CheckpointError, match="not finite"):
        home.pull()
    assert list(home.cache.iterdir()) == []


def test_types_that_need_an_importance_matrix_are_refused_before_the_weights(home: Home) -> None:
    with pytest.raises(ImatrixError):
        home.pull(quant_type="iq2_xs")
    assert not set(home.weights()) & home.server.paths()


def test_a_disk_without_room_is_refused_before_the_weights(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = sorted((home.checkpoint / name).stat().st_size for name in home.weights())
    needed = len(home.whole()) + sum(sizes[-2:])
    usage = shutil.disk_usage(home.folder)._replace(free=needed * 9 // 10)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(DiskFullError):
            home.pull()
    assert not set(home.weights()) & home.server.paths()
    assert list(home.cache.iterdir()) == []
    assert home.pull().read_bytes() == home.whole()


def test_a_disk_that_fills_up_keeps_what_came(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    write = MeteredFile.write

    def full(self: MeteredFile, data: bytes) -> int:
        if home.weights()[3] in str(self.name) and self.tell() > 2**18:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(MeteredFile, "write", full)
        with pytest.raises(DiskFullError, match="free some space"):
            home.pull()
    ledger = Ledger(home)
    ledger.check()
    assert home.pull().read_bytes() == home.whole()
    ledger.check()


def test_an_encoder(home: Home) -> None:
    make_bert(home.folder / "bge")
    home.server.push_folder("o/bge", home.folder / "bge")
    path = home.store().find_encoder("o/bge")
    assert path is not None
    convert(home.folder / "bge", home.folder / "whole.gguf")
    assert path.read_bytes() == (home.folder / "whole.gguf").read_bytes()
    assert home.left_over() == []


def test_two_at_once_download_once(home: Home) -> None:
    paths: list[Path] = []
    threads = [threading.Thread(target=lambda: paths.append(home.pull())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert paths[0] == paths[1]
    assert paths[0].read_bytes() == home.whole()
    for name in home.weights():
        assert len(home.server.bodies(name)) == 1


# Pulls, and dies once a given share of what was left is done.
DIE = """
import os, signal, sys
from huggingface_hub import constants
from glm3edge.store.hub.names import parse_name
from glm3edge.store.store import Store
from glm3edge_convert.gguf import writer
from pathlib import Path

constants.DOWNLOAD_CHUNK_SIZE = int(sys.argv[2])
writer.SYNC_BYTES = 1
first = None

def watch(step):
    global first
    if " tensors" not in step.count:
        return
    done = step.num_bytes_done / step.num_bytes
    if first is None:
        first = done
    if done >= first + (1 - first) * float(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)

store = Store(Path(os.environ["GLM3EDGE_CACHE_DIR"]), progress=watch)
store.pull(parse_name("o/tiny:q4_k_m"))
"""


def test_kills_at_random_moments_end_in_the_same_bytes(home: Home) -> None:
    rng, ledger = random.Random(23), Ledger(home)
    for _ in range(5):
        result = subprocess.run(
            [sys.executable, "-c", DIE, str(rng.uniform(0, 0.6)), str(CHUNK_BYTES)],
            env=home.environment,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
        )
        assert result.returncode == -signal.SIGKILL, result.stderr
        ledger.check()
    assert home.left_over()
    assert home.pull().read_bytes() == home.whole()
    ledger.check()
    assert home.left_over() == []
