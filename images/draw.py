"""Draw the PNG beside each SVG here: uv run python images/draw.py (needs a Chinese font)."""

from pathlib import Path

from vl_convert import svg_to_png

for svg in Path(__file__).parent.glob("*.svg"):
    svg.with_suffix(".png").write_bytes(svg_to_png(svg.read_text("utf-8"), scale=2))
