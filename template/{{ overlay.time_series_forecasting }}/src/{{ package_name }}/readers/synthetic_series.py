# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Synthetic hourly series to start with: drawn with a fixed seed, and measured nowhere."""

import numpy as np
import pandas as pd
from numpy.random import Generator

from .series import TimeSeries

SYNTHETIC_FREQUENCY = "h"
MAX_HOURS = 1000
MIN_HOURS = 700
MISSING_VALUES = 30  # in one series of ten
SATURDAY = 5
SHIFT_SIZE = 0.3
NOISE_FADING = 0.4


def make_series(count: int = 60, seed: int = 0) -> list[TimeSeries]:
    """Series of 700 to 1000 hours that end at the same hour; every tenth lacks some values."""
    random = np.random.default_rng(seed)
    hours = pd.date_range("2024-01-01", periods=MAX_HOURS, freq=SYNTHETIC_FREQUENCY)
    series = []
    for i in range(count):
        start = random.integers(0, MAX_HOURS - MIN_HOURS + 1)
        times = hours[start:]
        values = draw_values(times, random)
        if i % 10 == 9:
            missing = random.integers(1, len(times) - 1, MISSING_VALUES)
            values[missing] = np.nan
        name = f"synthetic_{i:02d}"
        series.append(TimeSeries(name, name, times, values))
    return series


def draw_values(times: pd.DatetimeIndex, random: Generator) -> np.ndarray:
    """Values (T,) of one series, the product of several factors.

    They are a level with a trend, a daily shape, lower and flatter weekends, up to two lasting
    shifts, and noise that fades over hours.
    """
    position = np.linspace(0, 1, len(times))
    day = draw_day(times, random)
    is_weekend = times.day_of_week.to_numpy() >= SATURDAY
    weekend_strength = random.uniform(0, 0.8)
    weekend = weekend_strength * is_weekend
    shifts = draw_shifts(position, random)
    noise = draw_noise(len(times), random)
    level = random.normal(3, 1)
    slope = random.uniform(-0.4, 0.6)
    trend = level + slope * position
    flat_day = day * (1 - weekend)
    return np.exp(trend + shifts + flat_day - weekend / 2 + noise)


def draw_day(times: pd.DatetimeIndex, random: Generator) -> np.ndarray:
    """A wave with a period of a day, and a smaller one of half a day."""
    hour = times.hour.to_numpy()
    first_hour = random.uniform(0, 24)
    angle = 2 * np.pi * (hour - first_hour) / 24
    whole_day = random.uniform(0.1, 0.6)
    half_day = random.uniform(0, 0.3)
    return whole_day * np.sin(angle) + half_day * np.sin(2 * angle)


def draw_shifts(position: np.ndarray, random: Generator) -> np.ndarray:
    """Up to two lasting changes of the level."""
    count = random.integers(0, 3)
    shifts = np.zeros(len(position))
    for start in random.uniform(0, 1, count):
        size = random.normal(0, SHIFT_SIZE)
        is_after = position > start
        shifts += size * is_after
    return shifts


def draw_noise(length: int, random: Generator) -> np.ndarray:
    """Noise that fades over hours."""
    deviation = random.uniform(0.08, 0.3)
    white = random.normal(0, deviation, length)
    fading = pd.Series(white).ewm(alpha=NOISE_FADING)
    return fading.mean().to_numpy()
