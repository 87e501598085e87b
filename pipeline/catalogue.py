"""Every method once. Adding one is an entry here and a module of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Literal

Family = Literal["feature", "matcher", "fusion", "network", "pretrained", "fine_tuned"]
Era = Literal["hand-crafted", "learned", "pretrained"]
#: The list in params.yaml that selects methods of a family.
SELECTED_BY: dict[Family, str] = {
    "feature": "features",
    "matcher": "matchers",
    "fusion": "fusions",
    "network": "networks",
    "pretrained": "pretrained",
    "fine_tuned": "fine_tuned",
}


@dataclass(frozen=True)
class Method:
    """One system of the comparison.

    Attributes:
        key: its name in params.yaml, in stage names and in folders.
        title: its name in the report.
        year: the year of the publication the system stands for.
        era: whether its features are made by hand (the way before 2012), learned from these images (the way since), or
            learned from other images before.
        family: which stages run it.
        module: the module that implements it.
        parts: the steps from pixels to scores.
        citation: the source.
        departures: where it is not as published, for the report.
    """

    key: str
    title: str
    year: int
    era: Era
    family: Family
    module: str
    parts: str
    citation: str
    departures: str = ""

    @property
    def has_svm(self) -> bool:
        """Whether it is a feature with a linear SVM behind it."""
        return self.family in ("feature", "pretrained")

    @property
    def is_network(self) -> bool:
        """Whether it is a network that is trained here, be it from a random start or from where others left it."""
        return self.family in ("network", "fine_tuned")

    def load(self) -> ModuleType:
        """Import the module (only now: some need torch or a compiler)."""
        return import_module(self.module)


VGG = "Simonyan & Zisserman, Very deep convolutional networks for large-scale image recognition, ICLR 2015"
RESNET = "He, Zhang, Ren & Sun, Deep residual learning for image recognition, CVPR 2016"


def _network(key: str, title: str, year: int, parts: str, citation: str, departures: str) -> Method:
    return Method(key, title, year, "learned", "network", f"pipeline.networks.{key}", parts, citation, departures)


def _vgg(depth: int, batch_norm: bool) -> Method:
    parts = f"{depth - 3} convolutions of 3×3, three full layers"
    if not batch_norm:
        return _network(f"vgg{depth}", f"VGG-{depth}", 2014, parts, VGG, "")
    citation = f"{VGG}; Ioffe & Szegedy, Batch normalization, ICML 2015"
    parts += ", batch normalisation"
    return _network(f"vgg{depth}_bn", f"VGG-{depth} with batch norm", 2015, parts, citation, "")


def _residual(key: str, title: str, parts: str) -> Method:
    departures = "shifted images continue their border, where the paper's have zeros"
    if key == "resnet50":
        departures += "; strides are in the 3×3 convolutions of bottlenecks, not in the 1×1 before"
    return _network(key, title, 2015, f"{parts}, batch normalisation", RESNET, departures)


def _networks() -> list[Method]:
    residual, plain = "shortcuts without parameters", "no shortcuts"
    return [
        _network(
            "perceptron",
            "Perceptron",
            1958,
            "one layer of weights, a threshold unit a class",
            "Rosenblatt, The perceptron: a probabilistic model, Psychological Review 1958",
            "mini-batches with momentum",
        ),
        _network(
            "mlp",
            "Multi-layer perceptron",
            1986,
            "hidden layers of sigmoid units",
            "Rumelhart, Hinton & Williams, Learning representations by back-propagating errors, Nature 1986",
            "mini-batches; softmax output",
        ),
        _network(
            "lenet5",
            "LeNet-5",
            1998,
            "two convolutions with trained subsampling, two further layers, scaled tanh, distances to pictures of the "
            "classes",
            "LeCun, Bottou, Bengio & Haffner, Gradient-based learning applied to document recognition, 1998",
            "mini-batches with momentum",
        ),
        _network(
            "lenet5_modern",
            "LeNet-5, modernised",
            2012,
            "LeNet-5's sizes with ReLU, max pooling and softmax",
            "after LeCun, Bottou, Bengio & Haffner 1998, with the habits of the 2010s",
            "no publication: the form that tutorials teach",
        ),
        _network(
            "cuda_convnet",
            "cuda-convnet",
            2011,
            "two convolutions with overlapping pooling and local response normalisation, two layers of local kernels",
            "Krizhevsky, cuda-convnet, layers-conv-local-11pct, 2011",
            "layers' weight decays in the published relations, but weaker; a rate that rises and falls",
        ),
        _network(
            "alexnet",
            "AlexNet",
            2012,
            "five convolutions in two towers, ReLU, local response normalisation, overlapping pooling, dropout",
            "Krizhevsky, Sutskever & Hinton, ImageNet classification with deep CNNs, NIPS 2012",
            "noise along the principal colours only where the data set has `color`",
        ),
        _network(
            "alexnet_one_tower",
            "AlexNet, one tower",
            2014,
            "AlexNet without towers and local response normalisation",
            "Krizhevsky, One weird trick for parallelizing convolutional neural networks, arXiv 2014",
            "",
        ),
        *(_vgg(depth, batch_norm) for depth in (11, 13, 16, 19) for batch_norm in (False, True)),
        *(_residual(f"resnet{n}", f"ResNet-{n}", f"{n - 1} convolutions, {residual}") for n in (20, 32, 44, 56, 110)),
        *(_residual(f"plain{n}", f"Plain-{n}", f"{n - 1} convolutions, {plain}") for n in (20, 56)),
        _residual("resnet18", "ResNet-18", "eight blocks of two convolutions, projection shortcuts"),
        _residual("resnet34", "ResNet-34", "sixteen blocks of two convolutions, projection shortcuts"),
        _residual("resnet50", "ResNet-50", "sixteen bottlenecks of three convolutions, projection shortcuts"),
        _network(
            "airbench",
            "Airbench network",
            2024,
            "whitened patches, six convolutions with batch normalisation and GELU, kernels orthogonalised by Muon",
            "Jordan, 94% on CIFAR-10 in 3.29 seconds on a single GPU, 2024; Jordan et al., Muon, 2024",
            "published with six views of each test image and shifts of 2 pixels; shifted images continue their border, "
            "where the publication reflects it; the whitening's bias learns along a line times the schedule",
        ),
    ]


OFF_THE_SHELF = "Razavian, Azizpour, Sullivan & Carlsson, CNN features off-the-shelf, CVPR workshops 2014"


def _pretrained(key: str, network: str, year: int, citation: str, departures: str) -> Method:
    parts = f"images resized → {network} as ImageNet taught it → activations before its last layer → linear SVM"
    return Method(
        key,
        f"{network} features + SVM",
        year,
        "pretrained",
        "pretrained",
        f"pipeline.pretrained.{key}",
        parts,
        f"{citation}; {OFF_THE_SHELF}",
        departures,
    )


TUNED = "Yosinski, Clune, Bengio & Lipson, How transferable are features in deep neural networks?, NIPS 2014"


def _fine_tuned(key: str, network: str, year: int, citation: str) -> Method:
    return Method(
        key,
        f"{network}, fine-tuned",
        year,
        "pretrained",
        "fine_tuned",
        f"pipeline.pretrained.{key}",
        f"images resized → {network} as ImageNet taught it, with a new last layer, all of it trained further",
        f"{citation}; {TUNED}",
        "batch normalisation keeps its statistics",
    )


def _from_earlier_runs() -> list[Method]:
    return [
        Method(
            "earlier_run",
            "Network of an earlier run, features + SVM",
            2014,
            "pretrained",
            "pretrained",
            "pipeline.pretrained.earlier_run",
            "images resized → a network that an earlier run trained → activations before its last layer → linear SVM",
            OFF_THE_SHELF,
        ),
        Method(
            "earlier_run_tuned",
            "Network of an earlier run, fine-tuned",
            2014,
            "pretrained",
            "fine_tuned",
            "pipeline.pretrained.earlier_run_tuned",
            "images resized → a network that an earlier run trained, with a new last layer, all of it trained further",
            TUNED,
            "batch normalisation keeps its statistics",
        ),
    ]


def _from_elsewhere() -> list[Method]:
    one_tower = "Krizhevsky, One weird trick for parallelizing convolutional neural networks, arXiv 2014"
    other = "another network in the place of OverFeat"
    return [
        _pretrained("alexnet_imagenet", "AlexNet (ImageNet)", 2014, one_tower, f"{other}; one tower"),
        _pretrained("vgg16_imagenet", "VGG-16 (ImageNet)", 2014, VGG, other),
        *(
            _pretrained(f"resnet{n}_imagenet", f"ResNet-{n} (ImageNet)", 2015, RESNET, f"{other}; mean over places")
            for n in (18, 34, 50)
        ),
        _pretrained(
            "efficientnet_lite0",
            "EfficientNet-Lite0",
            2020,
            "Tan & Le, EfficientNet, ICML 2019",
            f"{other}; mean over places",
        ),
        Method(
            "efficientnet_lite0_fv",
            "EfficientNet-Lite0 Fisher vector + SVM",
            2015,
            "pretrained",
            "pretrained",
            "pipeline.pretrained.efficientnet_lite0_fv",
            "images of several sizes → last maps of EfficientNet-Lite0 as ImageNet taught it → PCA → mixture of "
            "Gaussians → improved Fisher vector → linear SVM",
            "Cimpoi, Maji & Vedaldi, Deep filter banks for texture recognition and segmentation, CVPR 2015",
            "EfficientNet-Lite0 of 2019 in the place of VGG; two sizes of an image in the place of ten",
        ),
        Method(
            "dinov2_vits14",
            "DINOv2 ViT-S/14 features + SVM",
            2023,
            "pretrained",
            "pretrained",
            "pipeline.pretrained.dinov2_vits14",
            "images resized → vision transformer that 142 million images taught without labels → token of the image → "
            "linear SVM",
            "Oquab et al., DINOv2: learning robust visual features without supervision, TMLR 2024",
        ),
        *(_fine_tuned(f"resnet{n}_tuned", f"ResNet-{n} (ImageNet)", 2015, RESNET) for n in (18, 50)),
        _fine_tuned("efficientnet_lite0_tuned", "EfficientNet-Lite0", 2020, "Tan & Le, EfficientNet, ICML 2019"),
        *_from_earlier_runs(),
    ]


METHODS: tuple[Method, ...] = (
    Method(
        key="neocognitron",
        title="Neocognitron + SVM",
        year=1980,
        era="learned",
        family="feature",
        module="pipeline.features.neocognitron",
        parts="edges → S-cells that learn patterns without labels → C-cells that blur, twice → linear SVM",
        citation="Fukushima, Neocognitron: a self-organizing neural network model, Biological Cybernetics 1980; "
        "Fukushima, Training multi-layered neural network neocognitron, Neural Networks 2013",
        departures="fixed edges as since 2003; patches in batches; a linear SVM in the place of the last layer",
    ),
    Method(
        key="color_histogram",
        title="Colour histogram + SVM",
        year=1991,
        era="hand-crafted",
        family="feature",
        module="pipeline.features.color_histogram",
        parts="joint colour histogram → explicit kernel map → linear SVM",
        citation="Swain & Ballard, Color indexing, IJCV 1991",
    ),
    Method(
        key="hog",
        title="HOG + SVM",
        year=2005,
        era="hand-crafted",
        family="feature",
        module="pipeline.features.hog",
        parts="histograms of oriented gradients, block-normalised → linear SVM",
        citation="Dalal & Triggs, Histograms of oriented gradients for human detection, CVPR 2005",
    ),
    Method(
        key="sift_bow",
        title="SIFT bag of words + SVM",
        year=2004,
        era="hand-crafted",
        family="feature",
        module="pipeline.features.sift_bow",
        parts="SIFT → k-means vocabulary → histogram of visual words over regions → explicit kernel map → linear SVM",
        departures="a dense grid in the place of keypoints, soft votes, regions and explicit maps, all of later years "
        "and all switches in the settings",
        citation="Csurka et al., Visual categorization with bags of keypoints, ECCV workshop 2004; Lowe, IJCV 2004",
    ),
    Method(
        key="gabor",
        title="Gabor filters + SVM",
        year=1996,
        era="hand-crafted",
        family="feature",
        module="pipeline.features.gabor",
        parts="Gabor filters, even and odd → mean and deviation of magnitudes over regions → linear SVM",
        citation="Manjunath & Ma, Texture features for browsing and retrieval of image data, PAMI 1996",
        departures="over regions, with a square root and a linear SVM in the place of distances",
    ),
    Method(
        key="sift_matching",
        title="SIFT matching, nearest neighbour",
        year=1999,
        era="hand-crafted",
        family="matcher",
        module="pipeline.classifiers.sift_matching",
        parts="SIFT keypoints → ratio test → RANSAC → class of the example with most verified matches",
        citation="Lowe, Object recognition from local scale-invariant features, ICCV 1999; IJCV 2004",
        departures="matches are verified by RANSAC in the place of a Hough transform; a few examples of each class",
    ),
    Method(
        key="textons",
        title="Textons + SVM",
        year=2001,
        era="hand-crafted",
        family="feature",
        module="pipeline.features.textons",
        parts="48 filters of Leung & Malik → k-means textons → histogram over regions → kernel map → linear SVM",
        citation="Leung & Malik, Representing and recognizing the visual appearance of materials, IJCV 2001; Varma & "
        "Zisserman, IJCV 2005",
        departures="filters scaled down to small images; soft votes, regions and explicit maps as in the settings",
    ),
    Method(
        key="lbp",
        title="Local binary patterns + SVM",
        year=2002,
        era="hand-crafted",
        family="feature",
        module="pipeline.features.lbp",
        parts="local binary patterns on circles → histograms of uniform patterns over regions → explicit kernel map → "
        "linear SVM",
        citation="Ojala, Pietikäinen & Mäenpää, Multiresolution gray-scale and rotation invariant texture "
        "classification with local binary patterns, PAMI 2002",
        departures="histograms of regions (Ahonen, Hadid & Pietikäinen 2004), patterns that know their direction, an "
        "explicit map and a linear SVM in the place of nearest neighbours by likelihood, as in the settings",
    ),
    Method(
        key="sift_fv",
        title="SIFT Fisher vector + SVM",
        year=2010,
        era="hand-crafted",
        family="feature",
        module="pipeline.features.sift_fv",
        parts="dense SIFT → PCA → mixture of Gaussians → improved Fisher vector → linear SVM",
        citation="Perronnin, Sánchez & Mensink, Improving the Fisher kernel, ECCV 2010",
        departures="square roots of SIFT (Arandjelović & Zisserman 2012) and appended places (Sánchez et al. 2012) as "
        "in the settings",
    ),
    Method(
        key="sift_vlad",
        title="SIFT VLAD + SVM",
        year=2010,
        era="hand-crafted",
        family="feature",
        module="pipeline.features.sift_vlad",
        parts="dense SIFT → PCA → k-means → summed differences to the nearest centres → linear SVM",
        citation="Jégou, Douze, Schmid & Pérez, Aggregating local descriptors into a compact image representation, "
        "CVPR 2010",
        departures="square roots of SIFT, signed square roots and intra-normalisation (Arandjelović & Zisserman 2013)",
    ),
    Method(
        key="color_fv",
        title="Colour Fisher vector + SVM",
        year=2010,
        era="hand-crafted",
        family="feature",
        module="pipeline.features.color_fv",
        parts="local mean and deviation of R, G, B → PCA → mixture of Gaussians → improved Fisher vector → linear SVM",
        citation="Perronnin, Sánchez & Mensink, Improving the Fisher kernel, ECCV 2010",
        departures="appended places (Sánchez et al. 2012) as in the settings",
    ),
    Method(
        key="xrce2011",
        title="ILSVRC-2011 winner",
        year=2011,
        era="hand-crafted",
        family="fusion",
        module="pipeline.classifiers.fusion",
        parts="Fisher vectors of SIFT and of local colour, a linear SVM each, scores fused late",
        citation="Sánchez & Perronnin, High-dimensional signature compression, CVPR 2011; XRCE at ILSVRC 2011",
        departures="sizes as in the settings; the published system is budget paper at 256×256",
    ),
    Method(
        key="all_classical",
        title="All hand-crafted, fused late",
        year=2011,
        era="hand-crafted",
        family="fusion",
        module="pipeline.classifiers.fusion",
        parts="weighted sum of the members' scores",
        citation="late fusion as in XRCE's ILSVRC-2011 entry (Perronnin & Sánchez)",
    ),
    *_networks(),
    *_from_elsewhere(),
)

BY_KEY: dict[str, Method] = {method.key: method for method in METHODS}


def keys(family: Family) -> list[str]:
    """The names of all methods of a family."""
    return [method.key for method in METHODS if method.family == family]


def by_year(selected: Iterable[str]) -> list[Method]:
    """The named methods, oldest first; within a year in the catalogue's order."""
    return sorted((BY_KEY[key] for key in selected), key=lambda method: (method.year, METHODS.index(method)))
