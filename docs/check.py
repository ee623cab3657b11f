"""Looks at the built site in a real browser, and at what the blocks of the pages print: `make docs-check`.

    python docs/check.py [--skip-blocks] [--skip-browser] [--screenshots FOLDER]

In Chromium, at the width of a desktop and of a phone: no picture is broken, no page scrolls sideways, equations have a
size, the gallery has its thumbnails, the search finds, nothing is asked of the network, all links inside the site lead
somewhere. Each block of the guide is run in full, and must print to the letter what the page shows.
"""

import argparse
import os
import shutil
import sys
import tempfile
import threading
import warnings
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urldefrag

import blocks  # beside this file
import matplotlib

matplotlib.use("Agg")

DOCS = Path(__file__).parent.resolve()
SITE = DOCS.parent / "build" / "docs"
WIDTHS = {"desktop": 1280, "phone": 390}
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
LOOK = """() => ({
    broken: [...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src),
    wide: document.documentElement.scrollWidth - innerWidth,
    cut: [...document.querySelectorAll('article :is(h1, h2, h3, p, li, dt, img, math)')].filter(e => {
        if (e.getBoundingClientRect().right <= innerWidth + 1 && e.scrollWidth <= e.clientWidth + 1) return false;
        for (let box = e; box && box.tagName !== 'ARTICLE'; box = box.parentElement)
            if (/auto|scroll|hidden/.test(getComputedStyle(box).overflowX)) return false;
        return e.clientWidth > 0;
    }).map(e => (e.textContent || e.src).trim().slice(0, 40)),
    flat: [...document.querySelectorAll('math')].filter(m => !m.getBoundingClientRect().height).length,
    links: [...document.querySelectorAll('a[href]')].map(a => a.href),
    ids: [...document.querySelectorAll('[id]')].map(e => e.id),
    thumbnails: [...document.querySelectorAll('.sphx-glr-thumbcontainer img')].length,
})"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def check_blocks():
    """Outputs that are not those shown, as lines of text."""
    warnings.simplefilter("ignore")  # fits in the docs are short
    home = Path.cwd()
    for page in [*sorted(DOCS.glob("*.md")), DOCS.parent / "README.md"]:
        with tempfile.TemporaryDirectory() as folder:  # what a page writes goes here
            os.chdir(folder)
            shown = list(blocks.run(page))
            os.chdir(home)
        print(f"{page.name}: {len(shown)} outputs", flush=True)
        for output in shown:
            if not output.exact():
                yield f"{page.name}:{output.line} prints\n{output.printed}and shows\n{output.expected}"


def check_site(chromium, screenshots):
    """What is wrong with the pages, as lines of text."""
    from playwright.sync_api import sync_playwright

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    root = f"http://127.0.0.1:{server.server_port}/"
    files = [path.relative_to(SITE) for path in sorted(SITE.rglob("*.html"))]
    pages = [str(path) for path in files if not {"_modules", "_static"} & set(path.parts)]
    seen, outside = {}, set()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for name, width in WIDTHS.items():
            tab = browser.new_page(viewport={"width": width, "height": 900})
            tab.on("request", lambda request: outside.add(request.url))
            for page in pages:
                tab.goto(root + page, wait_until="load")
                seen[page] = tab.evaluate(LOOK)
                yield from (f"{page}, {name}: {problem}" for problem in problems_of(seen[page]))
                if screenshots:
                    tab.screenshot(path=screenshots / f"{page.replace('/', '_')}.{name}.png")
            yield from search(tab, root)
        browser.close()
    server.shutdown()
    print(f"{len(pages)} pages at {len(WIDTHS)} widths in {chromium}")
    yield from (f"a page asks the network for {url}" for url in outside if not url.startswith((root, "data:")))
    thumbnails, scripts = seen["gallery/index.html"]["thumbnails"], list((SITE / "gallery").glob("plot_*.html"))
    if thumbnails != len(scripts):
        yield f"gallery: {thumbnails} thumbnails of {len(scripts)} scripts"
    yield from broken_links(seen, root)


def problems_of(found):
    """What a look at a page found, in words."""
    yield from (f"{image} is broken" for image in found["broken"])
    yield from (f"cut off at the right: {text!r}" for text in found["cut"])
    if found["wide"] > 0:
        yield f"scrolls sideways by {found['wide']} pixels"
    if found["flat"]:
        yield f"{found['flat']} equations have no height"


def search(tab, root):
    tab.goto(root + "search.html?q=MADEDensity")
    try:
        tab.wait_for_selector("#search-results li a", timeout=10_000)
    except Exception as error:
        yield f"the search finds nothing ({type(error).__name__})"


def broken_links(seen, root):
    for page, found in seen.items():
        for link in sorted(set(found["links"])):
            if not link.startswith(root):
                continue
            address, anchor = urldefrag(link.removeprefix(root))
            target = unquote(address.partition("?")[0]) or "index.html"
            if not (SITE / target).exists():
                yield f"{page}: {target} is not there"
            elif anchor and target in seen and unquote(anchor) not in seen[target]["ids"]:
                yield f"{page}: {target} has no #{anchor}"


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--skip-blocks", action="store_true")
    arguments.add_argument("--skip-browser", action="store_true")
    arguments.add_argument("--screenshots", type=Path)
    arguments = arguments.parse_args()
    problems = []
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if arguments.screenshots:
        arguments.screenshots.mkdir(parents=True, exist_ok=True)
    if not arguments.skip_browser:
        if chromium is None:
            print("Skipped: no Chromium on the path, so no page is looked at (Debian: apt-get install chromium).")
        else:
            problems += check_site(chromium, arguments.screenshots)
    if not arguments.skip_blocks:
        problems += check_blocks()
    print("\n".join(problems) or "Nothing found.")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
