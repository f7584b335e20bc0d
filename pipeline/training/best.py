"""The generator with the best validation so far."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.networks import Generator
from pipeline.training.history import Figures
from pipeline.training.validation import Validation


@dataclass
class Best:
    """The averaged generator that validated best so far, after `step` steps."""

    generator: Generator
    score: float = -math.inf
    """larger is better"""
    step: int = 0
    """0: none was validated yet"""
    score_basis: str = ""
    """the metric of `score` and a hash of the pictures: scores of one basis can be compared"""

    def state_dict(self) -> dict[str, Any]:
        """Return everything as tensors and plain values."""
        return {
            "best": self.generator.state_dict(),
            "best_score": self.score,
            "best_step": self.step,
            "best_measure": self.score_basis,
        }

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned; `saved` must have been checked."""
        self.generator.load_state_dict(saved["best"])
        self.score, self.step = saved["best_score"], saved["best_step"]
        self.score_basis = saved["best_measure"]


class BestTracker:
    """Keep the best of the generators that are validated.

    By LPIPS in adversarial training where its weights are available, else by PSNR.
    """

    def __init__(self, best: Best, validation: Validation, adversarial: bool) -> None:
        self.best, self._validation = best, validation
        self._metric = "lpips" if adversarial and validation.lpips is not None else "psnr_y"

    def remeasure(self) -> bool:
        """Measure the best again where its score is not of this metric and these pictures.

        AlexNet's weights may have come or gone since, `validation_images` may have changed.
        Return whether it was measured.
        """
        if not self.best.step or self.best.score_basis == self._score_basis:
            return False
        figures, _ = self._validation(self.best.generator)
        self.best.score, self.best.score_basis = self._score(figures), self._score_basis
        return True

    def offer(self, generator: Generator, step: int, figures: Figures) -> None:
        """Keep a copy of `generator` if its validation figures are better than the best's."""
        if self.is_better(figures):
            self.best.score, self.best.step = self._score(figures), step
            self.best.score_basis = self._score_basis
            self.best.generator.load_state_dict(generator.state_dict())

    def is_better(self, figures: Figures) -> bool:
        """Return whether validation figures are better than the best's."""
        return self._score(figures) > self.best.score

    @property
    def _score_basis(self) -> str:
        return f"{self._metric} {self._validation.sha256}"

    def _score(self, figures: Figures) -> float:
        return -figures["lpips"] if self._metric == "lpips" else figures["psnr_y"]
