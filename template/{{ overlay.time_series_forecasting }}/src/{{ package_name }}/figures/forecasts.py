# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Draw a forecast beside the history of its series."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from PIL import Image

MEDIAN = 0.5
MAX_HORIZONS_SHOWN = 7  # history and target; more would leave the forecast too narrow to read
DASHED = (0, (4, 3))
DOTTED = (0, (1, 1))
HISTORY_COLOR = "#33415c"
FORECAST_COLOR = "#e4572e"
TITLE_COLOR = "#1d2733"
LABEL_COLOR = "#4a5563"
FRAME_COLOR = "#b9c0c9"
GRID_COLOR = "#e6e9ee"


def draw_forecast(
    title: str, times: list[str], values: list[float], forecast: np.ndarray, quantiles: list[float]
) -> Image.Image:
    """Draw the history, the median, the band of the outer quantiles and, if known, the truth.

    Args:
        title: the name of the series.
        times: T times of history and target, in ISO 8601.
        values: T values of history and target, NaN where unknown.
        forecast: (horizon, Q).
        quantiles: the Q quantiles that are forecast, in increasing order, including 0.5.

    Returns:
        An RGB image of 900 x 400 pixels.
    """
    # Without pyplot, which keeps every figure, and may need a screen.
    figure = Figure(figsize=(9, 4), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    plot_lines(axes, pd.to_datetime(times), np.array(values), forecast, quantiles)
    axes.set_title(
        title, loc="left", fontsize=13, fontweight="bold", color=TITLE_COLOR, parse_math=False
    )
    style_axes(axes)
    figure.legend(loc="outside upper right", ncols=4, frameon=False, fontsize=10)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def plot_lines(
    axes: Axes,
    times: pd.DatetimeIndex,
    values: np.ndarray,
    forecast: np.ndarray,
    quantiles: list[float],
) -> None:
    """Plot what is known and what is forecast; see `draw_forecast`."""
    horizon = len(forecast)
    first = max(0, len(times) - MAX_HORIZONS_SHOWN * horizon)
    past = slice(first, len(times) - horizon)
    ahead = times[-horizon:]
    truth = values[-horizon:]
    start: Any = ahead[0]  # matplotlib takes times, which its types do not say
    axes.axvline(start, color=FRAME_COLOR, linewidth=1, linestyle=DASHED)
    axes.fill_between(
        ahead,
        forecast[:, 0],
        forecast[:, -1],
        color=FORECAST_COLOR,
        alpha=0.22,
        linewidth=0,
        label=f"{quantiles[0]:.0%} to {quantiles[-1]:.0%}",
    )
    axes.plot(times[past], values[past], color=HISTORY_COLOR, linewidth=1.4, label="history")
    if np.isfinite(truth).any():
        axes.plot(ahead, truth, color=HISTORY_COLOR, linewidth=1.4, linestyle=DOTTED, label="truth")
    median = forecast[:, quantiles.index(MEDIAN)]
    axes.plot(ahead, median, color=FORECAST_COLOR, linewidth=2, label="median")


def style_axes(axes: Axes) -> None:
    """Label the dates briefly, and keep frame and grid in the background."""
    locator = AutoDateLocator(maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.grid(color=GRID_COLOR, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FRAME_COLOR)
    axes.tick_params(colors=LABEL_COLOR, labelsize=10)
    axes.margins(x=0.01)
