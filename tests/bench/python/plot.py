"""Bar charts as SVG, by hand: a picture needs no library."""

from html import escape

WIDTH, ROW, LEFT, RIGHT = 720, 24, 150, 110
OURS, THEIRS = "#1f6feb", "#9aa4af"


def bars(title, values, unit, ours, logarithmic=False):
    """values: [(name, value)], drawn in this order. ours: the name that is drawn in another color."""
    import math

    height = 50 + ROW * len(values)
    top = max(value for _, value in values)
    low = min(value for _, value in values if value > 0)

    def length(value):
        room = WIDTH - LEFT - RIGHT
        if value <= 0:
            return 0
        if not logarithmic:
            return room * value / top
        return room * (0.05 + 0.95 * math.log(value / low) / max(1e-9, math.log(top / low)))

    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="13">',
             f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
             f'<text x="10" y="24" font-weight="bold">{escape(title)}</text>']
    for number, (name, value) in enumerate(values):
        y = 40 + ROW * number
        color = OURS if name == ours else THEIRS
        lines += [f'<text x="{LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>',
                  f'<rect x="{LEFT}" y="{y + 3}" width="{length(value):.1f}" height="{ROW - 7}" fill="{color}"/>',
                  f'<text x="{LEFT + length(value) + 6:.1f}" y="{y + 15}">{number_text(value)} {escape(unit)}</text>']
    return "\n".join([*lines, "</svg>", ""])


def number_text(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
