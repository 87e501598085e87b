"""ILSVRC's winners in classification, for the report's second timeline.

Errors are those of the challenge's own results (image-net.org/challenges/LSVRC/<year>/results and Russakovsky et al.,
"ImageNet Large Scale Visual Recognition Challenge", IJCV 2015), on each year's test set and
without extra training data, so far as the winner had such an entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Winner:
    """The winner of a year.

    Attributes:
        year: of the competition.
        system: its name and what it was.
        top5_error: in percent.
        era: whether its features were made by hand.
    """

    year: int
    system: str
    top5_error: float
    era: Literal["hand-crafted", "learned"]


WINNERS = (
    Winner(2010, "NEC-UIUC: sparse coding and SVMs", 28.2, "hand-crafted"),
    Winner(2011, "XRCE: Fisher vectors and SVMs", 25.8, "hand-crafted"),
    Winner(2012, "SuperVision: AlexNet", 16.4, "learned"),
    Winner(2013, "Clarifai", 11.7, "learned"),
    Winner(2014, "GoogLeNet", 6.7, "learned"),
    Winner(2015, "ResNet", 3.57, "learned"),
    Winner(2016, "Trimps-Soushen", 2.99, "learned"),
    Winner(2017, "SENet", 2.25, "learned"),
)
PERSON = 5.1  # top-5 error of one trained annotator (Russakovsky et al.)

CARE = (
    "Winners' errors are of ensembles, each on its year's test set and without extra training data: AlexNet with extra "
    "data had 15.3, Clarifai 11.2. ILSVRC's 1,000 classes and 1.2 million images are another task than the one here: "
    "compare the shape of the two pictures and not their numbers. Source: Russakovsky et al., ImageNet Large Scale "
    "Visual Recognition Challenge, IJCV 2015, and the challenge's results for 2015 to 2017."
)
