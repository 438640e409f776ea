"""The report in a real browser: no error, nothing from outside, no overflow on a phone, readable on every ground.

Chromium is driven through pipes, so this works where there is no network at all.
"""

from __future__ import annotations

import io
import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import namespace
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tailorbird.paper.page import html
from tailorbird.paper.stored import read_report
from tailorbird.types import Finding, Mistake, Report, Story

REPORTS = Path(__file__).parents[1] / "paper" / "reports"
NAMES = ("labels", "numbers", "tags", "hostile")
CARD = {"title": "a body", "licence": "Apache-2.0", "source": "https://example.org/" + "long" * 60}
MACHINE = {"python": "3.11", "cpu": "x86_64", "threads": 2}
NOWHERE = "--host-resolver-rules=MAP * ~NOTFOUND"  # where namespaces are not allowed, names are not looked up

# The lowest contrast of any text that can be seen, by WCAG's formula, with the text that has it. Texts in plots are
# filled and stand on the page; the background of anything else is that of the nearest element which has one.
CONTRAST = """() => {
  const sheet = Object.assign(document.createElement("canvas"), {width: 1, height: 1});
  const canvas = sheet.getContext("2d", {willReadFrequently: true});
  const parts = colour => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const linear = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = c => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
  const ground = element => {
    if (!element) return [255, 255, 255, 1];
    const own = parts(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, ground(element.parentElement));
  };
  let worst = [99, ""];
  for (const element of document.querySelectorAll("main *")) {
    const text = [...element.childNodes].filter(node => node.nodeType === 3 && node.data.trim());
    if (!text.length || element.closest("title, desc, .unseen")) continue;
    const style = getComputedStyle(element), below = ground(element);
    const colour = over(parts(element.closest("svg") ? style.fill : style.color), below);
    const [dark, bright] = [light(colour), light(below)].sort((a, b) => a - b);
    const ratio = (bright + 0.05) / (dark + 0.05);
    if (ratio < worst[0]) worst = [ratio, text[0].data.trim()];
  }
  return worst;
}"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium, without a window."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        reason = "chromium is not installed; type: apt-get install chromium"
        pytest.fail(reason, pytrace=False) if os.environ.get("CI") else pytest.skip(reason)
    lonely = tmp_path_factory.mktemp("browser") / "chromium"
    # In a network of its own, for it looks for a way to the world when it starts, and that is no attempt of ours.
    lonely.write_text(f'#!/bin/sh\nexec {shlex.join([*(namespace.entrance() or []), program])} "$@"\n')
    lonely.chmod(0o755)
    with sync_playwright() as driver:
        # Chromium refuses to build its sandbox as root.
        chromium = driver.chromium.launch(executable_path=lonely, args=[NOWHERE], chromium_sandbox=os.geteuid() != 0)
        yield chromium
        chromium.close()


def made(name: str) -> Report:
    """One of the made reports; "hostile" has long names everywhere."""
    if name != "hostile":
        return read_report(REPORTS / f"{name}.json")
    report, long = read_report(REPORTS / "labels.json"), "<b>" + "Donaudampfschifffahrt" * 12
    names = tuple(f"{long}{i}" for i in range(30))
    lines = tuple({"label": one, "precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 7} for one in names)
    return replace(
        report,
        model=long,
        labels=names,
        confusion=tuple(tuple(10_000 * (i == j) + (i + j) % 3 for j in range(30)) for i in range(30)),
        per_class=lines,
        findings=(Finding(long, 3, long, (long, long)),),
        verdict=replace(report.verdict, sentence=f"{long}: {long}", outcome="worse"),
        notes={"titles": dict.fromkeys(report.baselines, long)},
        story=replace(report.story or Story(), mistakes=(Mistake(long, long, long, 0.5, long),) * 2),
    )


def picture(side: int) -> bytes:
    """A small JPEG."""
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize((side, side)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(params=NAMES)
def page_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A page of each kind."""
    thumbs = {f"thumbs/{i:02}.jpg": picture(28 + 60 * (i % 3)) for i in range(12)}
    call = {"data": "rows.csv", "target": "x" * 300, "seed": 0}
    path = tmp_path / "report.html"
    path.write_text(html(made(request.param), call=call, card=CARD, environment=MACHINE, thumbs=thumbs), "utf-8")
    return path


@contextmanager
def opened(browser: Browser, path: Path, width: int) -> Iterator[Page]:
    """The page in a browser that is this wide. Fails for anything that the console says, and for any other file."""
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("requestfailed", lambda request: said.append(f"failed: {request.url[:100]}"))
    page.on("request", lambda request: said.append(f"asked: {request.url}") if request.url[:5] != "data:" else None)
    page.goto(path.as_uri())
    yield page
    assert said == [f"asked: {path.as_uri()}"]
    context.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_a_page_is_whole_readable_and_no_wider_than_its_window(browser: Browser, page_file: Path, width: int) -> None:
    with opened(browser, page_file, width) as page:
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
        assert page.evaluate("getComputedStyle(document.querySelector('main')).maxWidth") != "none", "no style"
        for scheme, ground in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(18, 21, 23)")):
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground
            contrast, text = page.evaluate(CONTRAST)
            assert contrast >= 4.5, f"{scheme}: {text}"


def test_pictures_and_plots_say_what_they_show(browser: Browser, page_file: Path) -> None:
    with opened(browser, page_file, 1280) as page:
        assert page.evaluate("[...document.images].every(one => one.alt && one.complete && one.naturalWidth > 0)")
        plots = "[...document.querySelectorAll('svg')]"
        assert page.evaluate(f"{plots}.length") >= 2
        named = "one.getAttribute('role') == 'img' && one.querySelector('title') && one.querySelector('desc')"
        assert page.evaluate(f"{plots}.every(one => {named})")
        assert page.evaluate("document.querySelectorAll('h1').length") == 1


@pytest.mark.parametrize("page_file", ["labels"], indirect=True)
def test_who_has_no_mouse_can_reach_and_see_what_scrolls(browser: Browser, page_file: Path) -> None:
    with opened(browser, page_file, 390) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.matches('.scroll[aria-labelledby]')")
        outline = page.evaluate("getComputedStyle(document.activeElement).outline")
        assert "solid" in outline and "0px" not in outline


def test_it_is_printed_on_white_paper_even_from_a_dark_screen(browser: Browser, page_file: Path) -> None:
    with opened(browser, page_file, 680) as page:  # A4 between its margins
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.evaluate(CONTRAST)[0] >= 4.5
        assert page.pdf(format="A4")[:5] == b"%PDF-"
