"""A bar chart on a logarithmic scale, as SVG: no library needed for that."""

from __future__ import annotations

from html import escape
from math import ceil, floor, log10

COLOURS = ["#c0392b", "#2c3e50", "#5d7a99", "#a9b7c6", "#27ae60", "#8e44ad", "#f39c12", "#16a085",
           "#7f8c8d", "#d35400"]
BAR, GAP, LEFT, TOP, HEIGHT = 11, 22, 62, 16, 320


def text(x: float, y: float, words: str, extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {extra}>{escape(words)}</text>'


def bars(columns: list[str], series: dict[str, list[float | None]]) -> str:
    """One group a column, one bar in it for each of the series; None leaves its place empty."""
    values = [value for row in series.values() for value in row if value]
    low, high = floor(log10(min(values, default=1))), ceil(log10(max(values, default=10)))
    high = max(high, low + 1)
    group = BAR * len(series) + GAP
    width = LEFT + group * len(columns) + 20
    bottom = TOP + HEIGHT
    total = bottom + 120 + 18 * len(series)

    def y(value: float) -> float:
        return bottom - HEIGHT * (log10(value) - low) / (high - low)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {total}" '
           f'width="{width}" height="{total}" font-family="sans-serif" font-size="11">',
           f'<rect width="{width}" height="{total}" fill="white"/>']
    for power in range(low, high + 1):
        label = {3: "1 M", 4: "10 M", 5: "100 M"}.get(power, f"{10 ** power:g} k")
        out.append(f'<line x1="{LEFT}" x2="{width - 20}" y1="{y(10 ** power):.1f}" '
                   f'y2="{y(10 ** power):.1f}" stroke="#ddd"/>')
        out.append(text(LEFT - 6, y(10 ** power) + 4, label, 'text-anchor="end"'))
    for i, column in enumerate(columns):
        x = LEFT + GAP / 2 + i * group
        for j, (name, row) in enumerate(series.items()):
            if row[i]:
                out.append(f'<rect x="{x + j * BAR:.1f}" y="{y(row[i]):.1f}" width="{BAR - 1}" '
                           f'height="{bottom - y(row[i]):.1f}" '
                           f'fill="{COLOURS[j % len(COLOURS)]}"><title>'
                           f'{escape(f"{name}, {column}: {row[i]:,.0f} k")}</title></rect>')
        middle = x + (group - GAP) / 2
        out.append(text(middle, bottom + 14, column,
                        f'text-anchor="end" transform="rotate(-35 {middle:.1f} {bottom + 14})"'))
    for j, name in enumerate(series):
        at = bottom + 112 + 18 * j
        out.append(f'<rect x="{LEFT}" y="{at - 10}" width="12" height="12" '
                   f'fill="{COLOURS[j % len(COLOURS)]}"/>')
        out.append(text(LEFT + 18, at, name))
    out.append(text(LEFT, TOP - 4, "deliveries a second of server CPU (logarithmic)"))
    return "\n".join([*out, "</svg>"]) + "\n"
