"""Chromium, and a JupyterLab of the test's own: fixtures `browser`, `page` and `lab`."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # example_run lies beside the other tests

CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
READY = """() => {
  const widget = window.jupyterapp?.shell?.currentWidget;
  const session = widget?.sessionContext;
  return session?.isReady && session.session?.kernel?.status === "idle" && widget.context?.isReady;
}"""
# JupyterLab's own, seen once in some hundred sessions: its server answered nothing where it reads JSON.
EMPTY_ANSWER = "Unexpected end of JSON input"
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser) -> Iterator:
    """A page without network that remembers in `page.complaints` whatever went wrong in it."""
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900}, color_scheme="light")
    page = listening(context.new_page())
    yield page
    context.close()


def listening(page):
    """Collect failed requests, uncaught errors and console errors of a page in `page.complaints`."""
    page.complaints = []

    def uncaught(error) -> None:
        if EMPTY_ANSWER not in str(error):
            page.complaints.append(f"uncaught: {error.stack or error}")

    page.on("requestfailed", lambda request: page.complaints.append(f"request failed: {request.url[:200]}"))
    page.on("pageerror", uncaught)
    page.on(
        "console",
        lambda message: page.complaints.append(message.text) if message.type == "error" else None,
    )
    return page


class Notebook:
    """A notebook opened in JupyterLab, its kernel ready."""

    def __init__(self, page) -> None:
        self.page = page

    def run_all(self, seconds: float = 60) -> None:
        """Run every cell and wait until the kernel is idle again."""
        self.page.set_default_timeout(seconds * 1000)
        self.page.evaluate("async () => { await jupyterapp.commands.execute('notebook:run-all-cells'); }")
        self.page.wait_for_function(READY, timeout=seconds * 1000)

    def save(self) -> None:
        """Save it, as autosave does."""
        self.page.evaluate("async () => { await jupyterapp.commands.execute('docmanager:save'); }")

    def run_cell(self, index: int) -> None:
        """Run one cell, counted from the top; a negative index counts from the end."""
        self.page.evaluate(
            """async index => {
              const cells = jupyterapp.shell.currentWidget.content;
              cells.activeCellIndex = (index + cells.widgets.length) % cells.widgets.length;
              await jupyterapp.commands.execute("notebook:run-cell");
            }""",
            index,
        )

    def errors(self) -> list[str]:
        """Return the error outputs that the notebook shows."""
        shown = self.page.locator('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]')
        return [text for text in shown.all_inner_texts() if "Error" in text]

    def press(self, key: str, slider: int = 0) -> None:
        """Press a key on the handle of a slider, counted from the top of the notebook."""
        handle = self.page.locator(".widget-slider .noUi-handle").nth(slider)
        handle.focus()
        handle.press(key)


class Lab:
    """A running server; `open` copies a notebook into its folder and shows it."""

    def __init__(self, browser, root: Path, port: int) -> None:
        self.browser, self.root, self.port = browser, root, port

    def open(self, notebook: Path) -> Notebook:
        """Open a copy of the notebook, in a browser that reaches nothing but this server."""
        copy = self.root / "notebooks" / notebook.name
        shutil.copyfile(notebook, copy)
        context = self.browser.new_context(viewport={"width": 1280, "height": 1000})
        here = f"http://127.0.0.1:{self.port}/"
        context.route(lambda url: not url.startswith((here, "data:", "blob:")), lambda route: route.abort())
        page = listening(context.new_page())
        page.goto(f"{here}lab/tree/notebooks/{copy.name}?token=test&reset")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        page.wait_for_function(READY, timeout=60_000)
        return Notebook(page)


@pytest.fixture
def lab(browser, tmp_path) -> Iterator[Lab]:
    """A JupyterLab with settings, kernels and runs in a temporary folder, which is its project root."""
    (tmp_path / "notebooks").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "workbench", "lab", "--", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    command += ["--IdentityProvider.token=test", "--expose-app-in-browser"]
    with open(tmp_path / "server.log", "wb") as log:
        server = subprocess.Popen(command, env=_environment(tmp_path), cwd=tmp_path, stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}/api?token=test", server)
        yield Lab(browser, tmp_path, port)
    finally:
        for context in browser.contexts:
            context.close()
        server.terminate()
        server.wait(timeout=20)


def _environment(root: Path) -> dict[str, str]:
    jupyter = root / ".jupyter"
    for name, values in SETTINGS.items():
        path = jupyter / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    return {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(jupyter / "config"),
        "JUPYTER_DATA_DIR": str(jupyter / "data"),
        "JUPYTER_RUNTIME_DIR": str(jupyter / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(jupyter / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(jupyter / "workspaces"),
        "IPYTHONDIR": str(jupyter / "ipython"),
        "WORKBENCH_RUNS": str(root / "runs"),
        "WORKBENCH_HEADLESS": "0",
        "OMP_WAIT_POLICY": "PASSIVE",
    }


def _wait_for(address: str, server: subprocess.Popen) -> None:
    for _ in range(300):
        if server.poll() is not None:
            break
        try:
            urlopen(address, timeout=1)
            return
        except (URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError("JupyterLab did not start; see server.log in the test's temporary folder")
