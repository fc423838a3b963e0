"""A file far larger than anything that the page may keep of it."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.support.client import NativeClient
from tests.support.signatures import content_for
from tests.support.waiting import wait_until
from uploads.core.plan import MIB

from .support import CHUNK, Dashboard, sha256_of, status

pytestmark = pytest.mark.browser

SIZE = 1024 * MIB
#: Of the script's objects; a seventeenth of the file.
MOST_HEAP = 60 * MIB
#: Of all the browser's processes together: buffers that await collection, some hundreds of MiB
#: whatever the file's size. Whoever kept what is read would need all of the file, or twice that.
MOST_MEMORY = SIZE * 3 // 4
#: Milliseconds between two weighings.
PAUSE = 250


@pytest.fixture
def huge(folder: Path) -> Path:
    """Sparse, but no chunk like another."""
    path = folder / "survey.tar"
    with path.open("wb") as file:
        for start in range(0, SIZE, CHUNK):
            file.seek(start)
            file.write(content_for(path.name, 4096, seed=start))
        file.truncate(SIZE)
    return path


class Scales:
    """Weighs the page's script, and the whole browser around it."""

    def __init__(self, browser: Browser, page: Page) -> None:
        self._browser = browser.new_browser_cdp_session()
        self._page = page.context.new_cdp_session(page)
        self._page.send("Performance.enable")

    def heap(self) -> int:
        metrics = self._page.send("Performance.getMetrics")["metrics"]
        (used,) = [entry["value"] for entry in metrics if entry["name"] == "JSHeapUsedSize"]
        return int(used)

    def memory(self) -> int:
        """Bytes, without the pages of files that the kernel caches."""
        processes = self._browser.send("SystemInfo.getProcessInfo")["processInfo"]
        return sum(_own_memory(process["id"]) for process in processes)


def _own_memory(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    own = [line for line in lines if line.startswith(("RssAnon:", "RssShmem:"))]
    return sum(int(line.split()[1]) * 1024 for line in own)


@pytest.mark.timeout(900)  # it is a large file, and machines differ
def test_memory_stays_level_in_the_page_too(
    browser: Browser, dashboard: Dashboard, client: NativeClient, huge: Path
) -> None:
    page = dashboard.page
    scales = Scales(browser, page)
    heap, memory = [scales.heap()], [scales.memory()]
    dashboard.choose(huge)
    done = dashboard.row(huge.name).place.and_(page.locator("[data-state=completed]"))

    def weighed_until_done() -> bool:
        heap.append(scales.heap())
        memory.append(scales.memory())
        try:
            # Weighing without a pause would take the processor from what is weighed.
            done.wait_for(timeout=PAUSE)
        except PlaywrightTimeout:
            return False
        return True

    wait_until(weighed_until_done, timeout=800, what="the upload to complete")
    assert max(heap) - heap[0] < MOST_HEAP
    assert max(memory) - memory[0] < MOST_MEMORY
    row = dashboard.row(huge.name)
    assert status(client, row.session_id)["sha256"] == sha256_of(huge)
