"""How a network, or how it is trained, differs from its publication, in words."""

from __future__ import annotations

from pipeline import catalogue
from pipeline.catalogue import Method
from pipeline.networks.parts.sizes import listed
from pipeline.settings import Training

MUON_SINCE = 2024  # its publication, so that no older network's was trained by it
BY_LEVENBERG_MARQUARDT = ("lenet5",)  # as published
SCHEDULES_SINCE = 2018  # older networks' rates fell in steps, or not at all
SCHEDULES = {"one_cycle": "a one-cycle learning rate", "cosine": "a learning rate that falls like a cosine", "step": ""}
SMOOTHING_SINCE = 2016  # label smoothing, and averages over the last steps
SWITCHES = ("activation", "dropout", "batch_norm", "pooling", "start")


def variant(key: str, settings: Training, image_shape: tuple[int, int, int]) -> str:
    """How the network or its training differs from the publication, in words; "" where it doesn't."""
    method = catalogue.BY_KEY[key]
    built: str = method.load().variant(settings, image_shape)
    schedule = SCHEDULES[settings.schedule]
    rise = "a learning rate that rises at first" if settings.schedule == "step" and settings.warm_up > 0 else ""
    schedule = schedule or rise if method.year < SCHEDULES_SINCE else ""
    return listed(
        built, *_switched(settings), _optimizer(method, settings), schedule, *_since_2016(method.year, settings)
    )


def _optimizer(method: Method, settings: Training) -> str:
    if settings.optimizer == "muon" and method.year < MUON_SINCE:
        return "trained by Muon"
    if settings.optimizer == "levenberg_marquardt" and method.key not in BY_LEVENBERG_MARQUARDT:
        return "trained by Levenberg and Marquardt's method"
    return ""


def _since_2016(year: int, settings: Training) -> list[str]:
    if year >= SMOOTHING_SINCE:
        return []
    smoothing = f"label smoothing {settings.label_smoothing:g}" if settings.label_smoothing else ""
    return [smoothing, "averaged weights" if settings.average is not None else ""]


def _switched(settings: Training) -> list[str]:
    """Each part that a switch has changed, in words."""
    values = {name: getattr(settings, name) for name in SWITCHES}
    words = {True: "yes", False: "no"}
    return [
        f"{name.replace('_', ' ')}: {words[value] if isinstance(value, bool) else value}"
        for name, value in values.items()
        if value is not None and (name, value) != ("start", "paper")
    ]
