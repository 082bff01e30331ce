# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""What a person reads of a forecast: a table, and a plot for each series."""

from typing import Any

import numpy as np
import pandas as pd


def make_table(batch: dict, forecast: np.ndarray, levels: list[float]) -> dict[str, list]:
    """Columns with a row for each series and step: `input`, `time`, a quantile each, `truth`, and `plot`.

    Args:
        batch: has lists of `series`, names; `times`, of history and forecast; `values`, of the same,
            NaN where unknown; and `plot`, whether a series is drawn, into the first of its rows.
        forecast: quantiles (B, H, Q).
        levels: theirs.
    """
    steps = forecast.shape[1]
    table: dict[str, list] = {"input": [name for name in batch["series"] for _ in range(steps)]}
    table["time"] = [time for times in batch["times"] for time in times[-steps:]]
    for level, column in zip(levels, forecast.reshape(-1, len(levels)).T):
        table[f"q{level}"] = [float(f"{value:.7g}") for value in column]
    truth = [value for values in batch["values"] for value in values[-steps:]]
    table["truth"] = ["" if np.isnan(value) else float(f"{value:.7g}") for value in truth]
    table["plot"] = [""] * len(truth)
    for i in range(len(forecast)):
        if batch["plot"][i]:
            title, times, values = batch["series"][i], pd.to_datetime(batch["times"][i]), np.array(batch["values"][i])
            table["plot"][i * steps] = draw(title, times, values, forecast[i], levels)
    return table


def draw(title: str, times: Any, values: np.ndarray, forecast: np.ndarray, levels: list[float]) -> Any:
    """A picture of 900 x 400 pixels: the history, the median, the band of the outer quantiles, the truth.

    Args:
        title: the name of the series.
        times: of history and forecast (T,).
        values: of the same (T,), NaN where unknown.
        forecast: quantiles (H, Q).
        levels: theirs.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # it takes half a second, which `fit` need not
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure  # without pyplot, which keeps every figure, and may want a screen
    from PIL import Image

    steps, median = len(forecast), levels.index(0.5)
    first = max(0, len(times) - 7 * steps)  # more would leave the forecast too narrow to read
    figure = Figure(figsize=(9, 4), dpi=100, layout="constrained")
    canvas, axes = FigureCanvasAgg(figure), figure.add_subplot()
    band = f"{levels[0]:.0%} to {levels[-1]:.0%}"
    past, ahead = slice(first, len(times) - steps), times[-steps:]
    axes.axvline(ahead[0], color="#b9c0c9", linewidth=1, linestyle=(0, (4, 3)))
    axes.fill_between(ahead, forecast[:, 0], forecast[:, -1], color="#e4572e", alpha=0.22, linewidth=0, label=band)
    axes.plot(times[past], values[past], color="#33415c", linewidth=1.4, label="history")
    if np.isfinite(values[-steps:]).any():
        axes.plot(ahead, values[-steps:], color="#33415c", linewidth=1.4, linestyle=(0, (1, 1)), label="truth")
    axes.plot(ahead, forecast[:, median], color="#e4572e", linewidth=2, label="median")
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", color="#1d2733", parse_math=False)
    locator = AutoDateLocator(maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.grid(color="#e6e9ee", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#b9c0c9")
    axes.tick_params(colors="#4a5563", labelsize=10)
    axes.margins(x=0.01)
    figure.legend(loc="outside upper right", ncols=4, frameon=False, fontsize=10)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
