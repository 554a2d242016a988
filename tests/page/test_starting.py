"""A page that is opened before the server has a model."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from glm3edge.config.settings import load_settings
from glm3edge.engine.engine import Engine
from glm3edge.server.app import create_app
from glm3edge.server.bind import bind
from glm3edge.server.http_protocol import LimitedHttpProtocol
from glm3edge.server.run import ServerThread
from glm3edge.server.startup import Startup
from glm3edge.store.hub.download import DownloadProgress
from glm3edge_convert.progress import Progress
from glm3edge_convert.synth.random_checkpoint import Shape, make_checkpoint
from tests.support.browser import Open
from tests.support.fakes import FakeBackend
from tests.support.hub_server import hub_server
from tests.support.scripted_server import scripted_services
from tests.support.servers import early_server

pytestmark = pytest.mark.live

NAME = "zai-org/chatglm3-tiny"
SHAPE = Shape(512, 8, 8, 2, 64, 1280, 1024)
# Asks more often than the page does, so that what takes less than a second is seen, too.
HURRY = """
const interval = window.setInterval;
window.setInterval = (call, ms) => interval(call, Math.min(ms, 20));
window.seen = [];
new MutationObserver(() => {
  const heading = document.querySelector("h2")?.textContent;
  if (heading && window.seen.at(-1) !== heading) window.seen.push(heading);
}).observe(document, { subtree: true, childList: true, characterData: true });
"""


def test_phases_bytes_and_time_left(visit: Open, backend: FakeBackend) -> None:
    startup = Startup()
    settings = load_settings(port=0)
    engine = Engine(backend, use_drafts=False)
    with (
        bind(settings) as sock,
        ServerThread(
            create_app(startup, settings), sock, protocol=LimitedHttpProtocol, max_connections=50
        ) as server,
    ):
        there = visit(f"http://127.0.0.1:{sock.getsockname()[1]}", shows=".reading")
        page = there.page
        heading, numbers = page.locator("h2"), page.locator(".numbers")
        expect(heading).to_have_text("Loading the model")
        startup.update(DownloadProgress("one.safetensors", 0, 1, 0, 3 * 2**30))
        expect(heading).to_have_text("Downloading the model")
        startup.update(DownloadProgress("one.safetensors", 0, 1, 2**30, 3 * 2**30))
        expect(numbers).to_have_text(re.compile(r"^1\.0 GiB of 3\.0 GiB · about \d+ s left$"))
        bar = page.get_by_role("progressbar", name="Downloading the model")
        expect(bar).to_have_js_property("value", 2**30)
        assert page.locator("#message").count() == 0
        page.get_by_role("button", name="切换到中文").click()
        expect(heading).to_have_text("正在下载模型")
        expect(numbers).to_have_text(re.compile(r"^1\.0 GiB / 3\.0 GiB · 约剩 \d+ (秒|分钟)$"))
        startup.update(Progress("output.weight", 0, 45, 0, 50 * 2**20))
        expect(heading).to_have_text("正在转换模型")
        startup.begin("load", 50 * 2**20)
        expect(heading).to_have_text("正在加载模型")
        expect(numbers).to_have_text("50.0 MiB")
        server.begin(scripted_services(engine, backend))
        expect(page.locator("#message")).to_be_focused()
        assert there.ask("hello")


def test_pull_conversion_chat(visit: Open, tmp_path: Path) -> None:
    make_checkpoint(tmp_path / "tiny", shape=SHAPE, num_shards=1)
    with hub_server() as hub:
        hub.push_folder(NAME, tmp_path / "tiny")
        hub.bytes_per_second = 2**23
        with early_server(f"{NAME}:q4_k_m", hub_url=hub.url, folder=tmp_path) as (_, url):
            there = visit(url, shows=".reading", init_script=HURRY)
            expect(there.page.locator("#message")).to_be_focused()
            seen: list[str] = there.page.evaluate("window.seen")
            others = ("Loading the model", "What can I help with?")  # before the first answer, too
            assert [text for text in seen if text not in others] == [
                "Downloading the model",
                "Converting the model",
            ]
            assert there.ask("hello")
