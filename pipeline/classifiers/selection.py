"""Which of the solutions that a solver passes through is kept: the one with the lowest error on val.

So val chooses C, the weight of positives, and when to stop, as it does for a network's learning rate and epoch.
Stopping before the optimum is a regulariser of its own (Akata et al., PAMI 2014, use it for SVMs on Fisher vectors).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.classifiers.linear_svm import LinearSVM


@dataclass
class Trial:
    """One candidate: its lowest error on val, and the Newton steps that it took to get there and in all.

    Attributes:
        lowered: the step that brought a lower error than all before; `kept_step` may be a later one, as low.
    """

    name: str
    val_error: float = float("inf")
    kept_step: int = 0
    lowered: int = 0
    steps: int = 0


@dataclass
class Selection:
    """Looks at solutions one after the other; weights may be large, so only the best are held.

    Attributes:
        val_error: of a solution.
        patience: a candidate is given up after so many steps without a lower error.
        trials: one for each candidate so far.
        best: the solution with the lowest error; of equals in one trial the last, which is nearest to the optimum, and
            of equal trials the first.
        best_trial: the number of its trial.
        best_error: its error.
    """

    val_error: Callable[[LinearSVM], float]
    patience: int
    trials: list[Trial] = field(default_factory=list)
    best: LinearSVM | None = None
    best_trial: int = 0
    best_error: float = float("inf")

    def begin(self, name: str) -> None:
        """A new candidate."""
        self.trials.append(Trial(name))

    def look(self, model: LinearSVM) -> bool:
        """Take the present candidate's next solution; the first is where it starts, which belongs to the one before.

        Returns:
            whether it is worth going on.
        """
        trial, number = self.trials[-1], len(self.trials) - 1
        error = self.val_error(model)
        own = trial.steps > 0 or self.best is None
        if own and (error < self.best_error or (error == self.best_error and self.best_trial == number)):
            self.best, self.best_trial, self.best_error = model, number, error
        if error < trial.val_error or trial.steps == 1:
            trial.lowered = trial.steps
        if error <= trial.val_error or trial.steps == 1:
            trial.val_error, trial.kept_step = error, trial.steps
        trial.steps += 1
        return trial.steps - 1 - trial.lowered < self.patience
