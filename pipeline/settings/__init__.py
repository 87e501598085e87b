"""params.yaml as typed, validated settings, with errors that a person can act on.

No setting has a default in code: params.yaml is the whole truth, so that DVC, which tracks its values, sees every
change that can change a result.
"""

from pipeline.settings.base import BUDGETS, Budget, Dial, Fraction, Positive, Section
from pipeline.settings.curve import Curve
from pipeline.settings.data import (
    STILL,
    AnyDataset,
    Augmentation,
    Cifar,
    Dataset,
    Dials,
    Digits,
    Distortion,
    Files,
    Hub,
    Idx,
    ImageFolder,
    Manifest,
    Npz,
    Objects,
    Parquet,
    PerClass,
    Prepare,
    WebDataset,
)
from pipeline.settings.methods import Ablate, Fusion, Svm, Switches, Training
from pipeline.settings.project import AugmentedCopies, Compute, Evaluation, Settings
from pipeline.settings.reading import load
from pipeline.settings.weights import Weights

__all__ = [
    "BUDGETS",
    "STILL",
    "Ablate",
    "AnyDataset",
    "Augmentation",
    "AugmentedCopies",
    "Budget",
    "Cifar",
    "Compute",
    "Curve",
    "Dataset",
    "Dial",
    "Dials",
    "Digits",
    "Distortion",
    "Evaluation",
    "Files",
    "Fraction",
    "Fusion",
    "Hub",
    "Idx",
    "ImageFolder",
    "Manifest",
    "Npz",
    "Objects",
    "Parquet",
    "PerClass",
    "Positive",
    "Prepare",
    "Section",
    "Settings",
    "Svm",
    "Switches",
    "Training",
    "WebDataset",
    "Weights",
    "load",
]
