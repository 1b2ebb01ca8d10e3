"""`python docs/pictures.py`: the pictures that the README and the documentation show, drawn by the engine.

The SVGs are the same bytes every time. The PNG is what a browser makes of a part of a page; it carries the digest of
that page, so that a test sees when the page has changed.
"""

import hashlib
import re
import struct
import sys
import tempfile
import zlib
from pathlib import Path

import fcsym
from fcsym.drawing.chart import bars
from fcsym.drawing.picture import Picture

FOLDER = Path(__file__).parent / "pictures"
KEY = b"digest of the page"


def drawn() -> dict[str, str]:
    """File name => SVG."""
    net = fcsym.Network.parse("2-2-1")
    return {
        "speed.svg": speed().svg + "\n",
        "network.svg": fcsym.draw(net).svg + "\n",
        "cases.svg": fcsym.derive(net, "sequential").case_map(("eta", "w_5")).svg + "\n",
        "cost.svg": fcsym.cost_chart(fcsym.Network.parse("8-4-4-2")).svg + "\n",
    }


NO_PEERS = ("fcsym", "states", "collapsed", "backprop", "memcpy")
"""What the rows of the table begin with that are no others' work."""


def speed() -> Picture:
    """What the best peer takes in units of the best of fcsym, for every work in the table that has a peer."""
    text = (FOLDER.parent / "benchmarks.md").read_text().split("minimum    median     ratio\n")[1]
    best: dict[str, dict[bool, tuple[float, str]]] = {}
    for line in text.splitlines():
        work, peer, ratio = line[4:38].strip(), line[38:72].strip(), (line.split() or [""])[-1]
        if not peer or not re.fullmatch(r"[\d.e+-]+", ratio):
            continue
        ours = peer.startswith(NO_PEERS)
        if peer.startswith(NO_PEERS[1:]):
            continue
        kept = best.setdefault(work, {})
        kept[ours] = min(kept.get(ours, (float("inf"), "")), (float(ratio), peer))
    rows = [(w, b[False][0] / b[True][0], b[False][1]) for w, b in best.items() if len(b) == 2]
    rows = [(work, value, f"{value:.2g}  {peer}") for work, value, peer in rows]
    title = "What the best peer takes, in units of what fcsym takes"
    words = f"{title}: " + "; ".join(f"{work}, {beside}" for work, _, beside in rows) + "."
    return bars(title, words, rows, f"{title} (above 1: fcsym is faster)")


def page() -> str:
    """The derivation that the PNG shows."""
    return fcsym.derive(fcsym.Network.parse("2-2-1"), "sequential").html(only="p")


def digest() -> bytes:
    """What the PNG should carry."""
    return hashlib.sha256(page().encode()).hexdigest().encode()


def carried(png: bytes) -> bytes | None:
    """What it carries."""
    start = png.find(KEY + b"\0")
    return None if start < 0 else png[start + len(KEY) + 1 :][:64]


def signed(png: bytes) -> bytes:
    """The PNG with a text chunk after its header."""
    chunk = b"tEXt" + KEY + b"\0" + digest()
    whole = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return png[:33] + whole + png[33:]


def photograph(program: str) -> bytes:
    """The section on the compensation, in a browser."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from browser import Browser

    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        (where / "page.html").write_text(page(), encoding="utf-8")
        browser = Browser(program, where / "profile")
        try:
            browser.open(where / "page.html", width=1000)
            section = "document.getElementById('the-compensation').parentElement"
            height = browser.value(f"Math.ceil({section}.getBoundingClientRect().height)") + 24
            browser.open(where / "page.html", width=1000, height=height)
            browser.value(
                f"void window.scrollTo({{top: {section}.getBoundingClientRect().top - 12, behavior: 'instant'}})"
            )
            browser.picture(where / "page.png", whole=False)
        finally:
            browser.close()
        return signed((where / "page.png").read_bytes())


if __name__ == "__main__":
    import shutil

    try:
        digest()  # what is missing is said before anything is written
    except fcsym.FcsymError as problem:
        sys.exit(str(problem))
    for name, svg in drawn().items():
        (FOLDER / name).write_text(svg, encoding="utf-8")
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("The PNG needs chromium: install it, and run this again.")
    picture = FOLDER / "derivation.png"
    if not picture.is_file() or carried(picture.read_bytes()) != digest():
        picture.write_bytes(photograph(chromium))
