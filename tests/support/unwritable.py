"""A callback with a default value that no configuration file can hold."""

import torch
from lightning.pytorch import Callback

GENERATOR = torch.Generator()


class WithUnwritableDefault(Callback):
    def __init__(self, generator: torch.Generator = GENERATOR) -> None:
        self.generator = generator
