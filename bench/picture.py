"""The picture of a run: each figure as a bar, as long as it comes near its goal. SVG, readable on light and on dark."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

WIDTH = 1200
LABEL_WIDTH = 700
VALUE_WIDTH = 120
ROW_HEIGHT = 22
TOP = 46
# A figure twice as good as its goal reaches this far to the right of the goal's line; ten times is the edge.
LEAST, MOST = 0.1, 10.0

STYLE = """
text { font: 12.5px system-ui, sans-serif; fill: #1f2328; }
.goal { stroke: #57606a; stroke-dasharray: 3 3; }
.small { font-size: 12px; fill: #57606a; }
.reached { fill: #1a7f5a; }
.missed { fill: #c4572b; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .small { fill: #9aa4af; }
  .goal { stroke: #9aa4af; }
  .reached { fill: #3fb68b; }
  .missed { fill: #f0883e; }
}
"""


def draw(figures: Sequence[dict[str, Any]]) -> str:
    """Return the picture of some figures, as they stand in results.json."""
    height = TOP + ROW_HEIGHT * len(figures) + 12
    goal_x = LABEL_WIDTH + _length(1.0)
    reached = sum(each["is_reached"] for each in figures)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title">',
        f'<title id="title">{reached} of {len(figures)} figures reach their goal</title>',
        f"<style>{STYLE}</style>",
        f'<text class="small" x="{goal_x:.0f}" y="18" text-anchor="middle">goal</text>',
        f'<text class="small" x="{LABEL_WIDTH:.0f}" y="34">a tenth of it</text>',
        f'<text class="small" x="{WIDTH - VALUE_WIDTH:.0f}" y="34" text-anchor="end">ten times better</text>',
        *(_row(each, TOP + ROW_HEIGHT * number) for number, each in enumerate(figures)),
        f'<line class="goal" x1="{goal_x:.0f}" x2="{goal_x:.0f}" y1="24" y2="{height - 6}"/>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _row(figure: dict[str, Any], y: float) -> str:
    kind = "reached" if figure["is_reached"] else "missed"
    value = f"{figure['value']:,.0f}" if figure["value"] >= 100 else f"{figure['value']:.3g}"
    words = escape(f"{value} {figure['unit']}".strip())
    length = _length(_nearness(figure))
    middle = y + ROW_HEIGHT - 7
    return (
        f'<text x="{LABEL_WIDTH - 8}" y="{middle}" text-anchor="end">{escape(figure["title"])}</text>'
        f'<rect class="{kind}" x="{LABEL_WIDTH}" y="{y + 3}" width="{length:.1f}" height="{ROW_HEIGHT - 6}" rx="2"/>'
        f'<text x="{WIDTH - VALUE_WIDTH + 8}" y="{middle}">{words}</text>'
    )


def _nearness(figure: dict[str, Any]) -> float:
    """Return how many times better than its goal a figure is: 1 at the goal, less below."""
    value, goal = figure["value"], figure["goal"]
    if figure["is_at_least"]:
        return float(value / goal)
    return float(goal / value) if value else MOST


def _length(nearness: float) -> float:
    """Return the bar's length on a scale by powers of ten, from a tenth of the goal to ten times better."""
    bounded = min(MOST, max(LEAST * 1.05, nearness))
    span = WIDTH - LABEL_WIDTH - VALUE_WIDTH
    return span * math.log(bounded / LEAST) / math.log(MOST / LEAST)
