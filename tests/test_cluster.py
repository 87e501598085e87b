"""Work that Dask's workers do: the same bytes, whoever does it and whoever is killed; and who can't do it is told."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from pipeline import layout, settings
from pipeline.classifiers.products import CpuProducts
from pipeline.classifiers.vectors import Coded, Dense, Scaling
from pipeline.cluster import connection, spread
from pipeline.cluster import passes as cluster_passes
from pipeline.cluster import products as cluster_products
from pipeline.cluster.connection import connected
from pipeline.context import Context
from pipeline.encoding import gmm, kmeans
from pipeline.encoding.fisher_feature import Quantization
from pipeline.encoding.product_quantization import GROUPS_AT_ONCE, fit_product_quantizer
from pipeline.errors import PipelineError
from pipeline.features import extraction, sift_fv
from pipeline.files import read_arrays
from pipeline.models import measured
from pipeline.models.recipe import Recipe
from pipeline.passes import Here
from pipeline.robustness import asking
from pipeline.settings import Compute
from pipeline.stages import codebook, curve, features, folds, prepare, robustness, svm
from tests.conftest import edit, pipeline

pytest.importorskip("distributed", reason="Dask is not installed")

DASK = {"compute.backend": "dask", "compute.workers": 2, "compute.device": "cpu"}


def compute(**changes: Any) -> Compute:
    """Two workers on this machine."""
    return Compute(device="cpu", workers=2, backend="dask", scheduler=None).model_copy(update=changes)


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (extraction, spread):
        monkeypatch.setattr(module, "SHARD", 24)


@pytest.fixture
def travelling(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes of each task that workers are given."""
    from distributed.protocol.pickle import dumps

    sizes: list[int] = []
    submit = connection.Workers.submit

    def measured(workers: connection.Workers, *arguments: Any) -> Any:
        sizes.append(len(dumps(arguments)))
        return submit(workers, *arguments)

    monkeypatch.setattr(connection.Workers, "submit", measured)
    return sizes


def vectors_of(key: str) -> dict[str, bytes]:
    """What the stage leaves, but for its seconds."""
    return {path.name: path.read_bytes() for path in sorted((layout.FEATURES / key).glob("*.npy"))}


# ---------------------------------------------------------------------------------------------------- shards


def test_features_are_the_same_though_a_worker_is_killed(
    project: Path, small_shards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(project, {"features": ["sift_fv"], "fusions": [], "networks": []})
    prepare.run()
    codebook.run("sift_fv")
    features.run("sift_fv")
    expected = vectors_of("sift_fv")
    assert expected.keys() == {"train.npy", "val.npy"}
    edit(project, DASK)
    killed: list[int] = []
    submit = connection.Workers.submit

    def submit_and_kill(workers: connection.Workers, *arguments: Any) -> Any:
        if not killed:  # while the first shards are computed
            pids = list(workers.client.run(os.getpid).values())
            killed.append(pids[0])
            psutil.Process(pids[0]).kill()
        return submit(workers, *arguments)

    monkeypatch.setattr(connection.Workers, "submit", submit_and_kill)
    features.run("sift_fv")
    assert killed
    assert vectors_of("sift_fv") == expected
    assert json.loads((layout.FEATURES / "sift_fv" / "cost.json").read_text())["training_seconds"] > 0


def test_shards_that_are_there_are_not_computed_again(
    project: Path, small_shards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(project, {"features": ["color_histogram"], "fusions": [], "networks": []} | DASK)
    prepare.run()
    codebook.run("color_histogram")
    monkeypatch.setattr(extraction.Shards, "publish", lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        features.run("color_histogram")
    monkeypatch.undo()
    os.chdir(project)
    for module in (extraction, spread):
        monkeypatch.setattr(module, "SHARD", 24)
    monkeypatch.setattr(connection.Workers, "submit", lambda *arguments: pytest.fail("computed again"))
    before = json.loads(next(layout.WORK.glob("features-*/elsewhere/seconds-train.json")).read_text())
    features.run("color_histogram")
    took = json.loads((layout.FEATURES / "color_histogram" / "cost.json").read_text())["training_seconds"]
    assert took >= before > 0  # of both runs
    assert len(np.load(layout.FEATURES / "color_histogram" / "val.npy")) == 60


MOMENTS = 10


@pytest.mark.slow
def test_a_worker_may_be_killed_at_any_moment(
    project: Path, small_shards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of three, after so many of the ten shards of train as the moment says."""
    edit(project, {"features": ["sift_fv"], "fusions": [], "networks": []})
    prepare.run()
    codebook.run("sift_fv")
    features.run("sift_fv")
    expected = vectors_of("sift_fv")
    edit(project, DASK | {"compute.workers": 3})
    gather = connection.Workers.gather
    for moment in range(MOMENTS):
        shutil.rmtree(layout.FEATURES)
        finished = killed = 0

        def gather_and_kill(workers: connection.Workers, futures: Any, done: Any, moment: int = moment) -> Any:
            def kill() -> None:
                nonlocal killed
                killed = next(iter(workers.client.run(os.getpid).values()))
                psutil.Process(killed).kill()

            def count(rows: int) -> None:
                nonlocal finished
                done(rows)
                finished += 1
                if finished == moment:
                    kill()

            if moment == finished == 0:
                kill()
            return gather(workers, futures, count)

        monkeypatch.setattr(connection.Workers, "gather", gather_and_kill)
        features.run("sift_fv")
        assert killed
        assert not psutil.pid_exists(killed)
        assert vectors_of("sift_fv") == expected


# ---------------------------------------------------------------------------------------------------- codebooks


@pytest.fixture
def killing(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every pass is handed out, and a worker is killed as soon as it has something to do; this is its number."""
    killed: list[int] = []
    submit = connection.Workers.submit

    def submit_and_kill(workers: connection.Workers, *arguments: Any) -> Any:
        future = submit(workers, *arguments)
        if not killed:
            killed.append(next(iter(workers.client.run(os.getpid).values())))
            psutil.Process(killed[0]).kill()
        return future

    monkeypatch.setattr(connection.Workers, "submit", submit_and_kill)
    monkeypatch.setattr(cluster_passes, "WORTH", 0)
    return killed


@pytest.mark.parametrize("key", ["sift_fv", "textons"])
def test_codebooks_are_the_same_though_a_worker_is_killed(project: Path, killing: list[int], key: str) -> None:
    edit(project, {"features": [key], "fusions": [], "networks": []})
    prepare.run()
    codebook.run(key)
    expected = read_arrays(layout.CODEBOOKS / key / "codebook.npz", "codebook")
    edit(project, DASK)
    codebook.run(key)
    assert killing
    found = read_arrays(layout.CODEBOOKS / key / "codebook.npz", "codebook")
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
    assert not list(layout.WORK.glob("passes/*"))


def test_a_quantiser_is_the_same_though_a_worker_is_killed(project: Path, killing: list[int]) -> None:
    """From images in memory alone, more of them than in a group."""
    edit(project, {"features": ["sift_fv"], "fusions": [], "networks": []})
    chosen = Recipe.of(settings.load(), "sift_fv", "feature").settings.features.model_copy(
        update={"quantization": Quantization(group=8, bits=1, sample=300), "gaussians": 64}
    )
    images = np.random.default_rng(0).integers(0, 256, (310, 16, 16, 3), np.uint8)
    expected = sift_fv.fit(images, chosen, Context(0, 2))
    with cluster_passes.PassesElsewhere("sift_fv", compute()) as elsewhere:
        found = sift_fv.fit(images, chosen, Context(0, 2, elsewhere=elsewhere))
        files = list(layout.WORK.glob("passes/sift_fv/*/array-*.npy"))
    assert killing
    assert len(found["centroids"]) > GROUPS_AT_ONCE  # so there were several tasks
    assert len(files) < 2  # what no pass will read again is deleted at once
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_sums_over_groups_and_what_is_left_are_the_same(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five groups of three chunks, and one chunk that is not whole."""
    x = np.random.default_rng(0).normal(size=(1000, 6)).astype(np.float32)
    mixture = gmm.from_clusters(x, x[:7])
    whole = gmm.statistics(x, mixture)
    monkeypatch.setattr(cluster_passes, "WORTH", 0)
    for module in (gmm, kmeans):
        monkeypatch.setattr(module, "CHUNK", 64)
        monkeypatch.setattr(module, "GROUP", 3)
    with cluster_passes.PassesElsewhere("x", compute()) as elsewhere:
        found = [gmm.statistics(x, mixture, passes) for passes in (elsewhere, Here(1), Here(3))]
        nearest = [kmeans.nearest(x, x[:7], passes) for passes in (elsewhere, Here(1), Here(3))]
    np.testing.assert_allclose(found[0].moments, whole.moments, rtol=1e-4, atol=1e-2)
    for one in found[1:]:
        np.testing.assert_array_equal(one.moments, found[0].moments)
        np.testing.assert_array_equal(one.mass, found[0].mass)
        assert one.log_likelihood == found[0].log_likelihood
    for arrays in zip(*nearest, strict=True):
        np.testing.assert_array_equal(arrays[1], arrays[0])
        np.testing.assert_array_equal(arrays[2], arrays[0])


def test_short_passes_are_not_handed_out(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_passes, "connected", lambda *arguments: pytest.fail("it asked for workers"))
    with cluster_passes.PassesElsewhere("x", compute()) as elsewhere:
        index, _ = kmeans.nearest(np.eye(5, dtype=np.float32), np.eye(5, dtype=np.float32)[::-1], elsewhere)
    assert index.tolist() == [4, 3, 2, 1, 0]


def test_what_a_group_did_not_leave_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_passes, "WORTH", 0)
    submit = connection.Workers.submit  # workers that write nothing
    monkeypatch.setattr(connection.Workers, "submit", lambda workers, *task: submit(workers, time.sleep, 0))
    with (
        cluster_passes.PassesElsewhere("x", compute()) as elsewhere,
        pytest.raises(PipelineError, match=r"group-0+\.npz: a worker wrote it, and it can't be read here"),
    ):
        kmeans.nearest(np.eye(5, dtype=np.float32), np.eye(5, dtype=np.float32), elsewhere)


def test_a_view_of_mapped_rows_is_no_file_of_its_own(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(12.0).reshape(6, 2))
    whole = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert cluster_passes.mapped_from(whole) == tmp_path / "x.npy"
    for view in (whole[::-1], whole[:3], whole[[2, 1]], np.array(whole), whole.T):
        assert cluster_passes.mapped_from(view) is None


def test_no_array_of_a_pass_travels(project: Path, travelling: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    edit(project, {"features": ["sift_fv"], "fusions": [], "networks": []} | DASK)
    prepare.run()
    monkeypatch.setattr(cluster_passes, "WORTH", 0)
    codebook.run("sift_fv")
    assert travelling
    assert max(travelling) < 5000


# ---------------------------------------------------------------------------------------------------- products


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dense | Coded]:
    """Vectors that lie in files, as numbers and as codes."""
    folder, x = tmp_path_factory.mktemp("vectors"), np.random.default_rng(0).normal(size=(700, 72)).astype(np.float32)
    quantizer = fit_product_quantizer(x, 8, seed=0)
    np.save(folder / "dense.npy", x.astype(np.float16))
    np.save(folder / "codes.npy", quantizer.encode(x))
    dense, codes = (np.load(folder / name, mmap_mode="r") for name in ("dense.npy", "codes.npy"))
    return {"numbers": Dense(dense), "codes": Coded(codes, quantizer.centroids)}


@pytest.mark.parametrize("form", ["numbers", "codes"])
def test_products_are_the_same_though_a_worker_is_killed(
    form: str, stored: dict[str, Dense | Coded], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, rng = stored[form], np.random.default_rng(1)
    scaling = Scaling.of(vectors)
    directions, values = (rng.normal(size=(4, size)).astype(np.float32) for size in (72, 700))
    here = CpuProducts(vectors, scaling, 1)
    killed: list[int] = []
    submit = connection.Workers.submit

    def submit_and_kill(workers: connection.Workers, *arguments: Any) -> Any:
        if not killed:
            killed.append(next(iter(workers.client.run(os.getpid).values())))
            psutil.Process(killed[0]).kill()
        return submit(workers, *arguments)

    with cluster_products.products_elsewhere("x", vectors, scaling, compute()) as there:
        assert len(there._groups()) == 3
        np.testing.assert_array_equal(there.forward(directions), here.forward(directions))
        monkeypatch.setattr(connection.Workers, "submit", submit_and_kill)
        expected, bias = here.normal(directions, values, directions[:, :1]), directions[:, :1]
        for found, one in zip(there.normal(directions, values, bias), expected, strict=True):
            np.testing.assert_array_equal(found, one)
        np.testing.assert_array_equal(there.backward(values), here.backward(values))
        assert killed
    assert not list(layout.WORK.glob("products/*"))


def test_a_group_s_file_that_is_not_there_is_told(
    stored: dict[str, Dense | Coded], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It must not pass for one that nobody asked for."""
    vectors = stored["numbers"]
    monkeypatch.setattr(cluster_products, "multiply", time.sleep)  # a worker that writes nothing
    submit = connection.Workers.submit
    monkeypatch.setattr(connection.Workers, "submit", lambda workers, task, job: submit(workers, task, 0))
    with (
        cluster_products.products_elsewhere("x", vectors, Scaling.of(vectors), compute()) as there,
        pytest.raises(PipelineError, match=r"sums-0+\.npy: a worker wrote it, and it can't be read here"),
    ):
        there.backward(np.ones((4, 700), np.float32))
    assert not list(layout.WORK.glob("products/*"))


def test_an_svm_is_the_same_whoever_multiplies(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(project, {"features": ["hog"], "fusions": [], "networks": []})
    prepare.run()
    codebook.run("hog")
    features.run("hog")
    svm.run("hog")
    expected = read_arrays(layout.results_of("feature", "hog") / "scores.npz", "svm")
    edit(project, DASK)
    asked = []
    parts = cluster_products.ProductsElsewhere.parts

    def counted(products: cluster_products.ProductsElsewhere, what: str, *arguments: Any) -> Any:
        asked.append(what)
        return parts(products, what, *arguments)

    monkeypatch.setattr(cluster_products.ProductsElsewhere, "parts", counted)
    svm.run("hog")
    assert not asked  # so few vectors are not worth it
    monkeypatch.setattr(cluster_products, "WORTH", 0)
    svm.run("hog")
    assert {"normal", "backward"} == set(asked)
    found = read_arrays(layout.results_of("feature", "hog") / "scores.npz", "svm")
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_vectors_without_a_file_of_their_own_have_none(stored: dict[str, Dense | Coded]) -> None:
    dense = stored["numbers"]
    assert isinstance(dense, Dense)
    where = cluster_products.stored_at(dense)
    assert where is not None
    assert where.name == "dense.npy"
    assert cluster_products.stored_at(dense.every(2)) is None
    assert cluster_products.stored_at(Dense(np.array(dense.array))) is None


# ---------------------------------------------------------------------------------------------------- fits


def test_fits_of_a_curve_are_the_same_side_by_side(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest size has too few images to choose by, so it waits for what the larger one chose."""
    wanted = {
        "curve.methods": ["hog"],
        "curve.sizes": [60, 180],
        "curve.seeds": [0, 1],
        "features": ["hog"],
        "fusions": [],
    }
    edit(project, wanted | {"networks": [], "compute.device": "cpu"})
    prepare.run()
    curve.run("hog")
    expected = results_of("hog")
    assert [row["tuned"] for row in expected[0]] == [True, False, True, False]
    edit(project, DASK)
    for folder in (layout.WORK / "curve").glob("*"):
        for path in folder.glob("*"):
            path.unlink()
    curve.run("hog")
    found = results_of("hog")
    assert found[0] == expected[0]
    np.testing.assert_array_equal(found[1], expected[1])


def results_of(key: str) -> tuple[list[dict[str, Any]], np.ndarray]:
    """A curve's fits without what time they took, and the ranks."""
    rows = json.loads((layout.curve_of(key) / "fits.json").read_text())
    for row in rows:
        del row["train_seconds"], row["predict_ms"]
    with np.load(layout.curve_of(key) / "ranks.npz") as arrays:
        return rows, arrays["test"]


# ---------------------------------------------------------------------------------------------------- what goes wrong


def test_fits_of_a_cross_validation_are_the_same_side_by_side(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {"features": ["hog", "color_histogram"], "fusions": ["all_classical"], "networks": [], "prepare.folds": 2}
    edit(project, chosen)
    prepare.run()
    folds.run()
    expected = {path.name: path.read_bytes() for path in layout.FOLDS.glob("*.npz")}
    assert expected.keys() == {"hog.npz", "color_histogram.npz", "all_classical.npz", "images.npz"}
    shutil.rmtree(layout.WORK)
    edit(project, DASK)
    fitted_here = []
    monkeypatch.setattr(measured, "fit", lambda *arguments: fitted_here.append(arguments))
    folds.run()
    assert not fitted_here  # all were found
    assert {path.name: path.read_bytes() for path in layout.FOLDS.glob("*.npz")} == expected


def test_changed_images_are_shown_side_by_side_with_the_same_bytes(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"sample": 24, "severities": [1, 5], "changes": ["viewpoint", "gaussian_noise"], "reference": None}
    edit(project, {"features": ["hog", "color_histogram"], "fusions": [], "networks": [], "robustness": wanted})
    prepare.run()
    for key in ("hog", "color_histogram"):
        for stage in (codebook, features, svm):
            stage.run(key)
    robustness.run()
    expected = {path.name: path.read_bytes() for path in layout.ROBUSTNESS.iterdir()}
    edit(project, {"compute": compute().model_dump()})
    asked: list[int] = []
    monkeypatch.setattr(asking, "show", lambda *arguments: asked.append(1))
    robustness.run()
    assert not asked  # not by this process
    assert {path.name: path.read_bytes() for path in layout.ROBUSTNESS.iterdir()} == expected


def die() -> None:
    """A task that needs more memory than there is ends like this."""
    os._exit(1)


def test_a_task_that_kills_its_workers_is_told() -> None:
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        connected(compute(workers=1)) as workers,
        pytest.raises(PipelineError, match="each of them was killed: it may need more memory"),
    ):
        workers.gather([workers.submit(die)], lambda nothing: None)


def fail(path: str) -> None:
    """As a full disk does."""
    raise PipelineError(f"{path}: cannot be written (No space left on device)")


def test_what_a_task_says_comes_back() -> None:
    with connected(compute(workers=1)) as workers:
        done: list[str] = []
        failed = workers.gather([workers.submit(fail, "/x"), workers.submit(str, 3)], done.append)
    assert [str(error) for error in failed] == ["/x: cannot be written (No space left on device)"]
    assert done == ["3"]


def test_a_scheduler_that_is_not_there_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "TIMEOUT", "1s")
    for scheduler, words in (
        ("tcp://127.0.0.1:9", "no Dask scheduler of this version answers there"),
        ("scheduler.json", "there is no such file"),
    ):
        with pytest.raises(PipelineError, match=words), connected(compute(scheduler=scheduler)):
            pytest.fail("connected")


def test_a_scheduler_elsewhere_is_found_and_its_loss_is_told(project: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    start = [sys.executable, "-m"]
    scheduler = subprocess.Popen([*start, "distributed.cli.dask_scheduler", "--port", str(port), "--no-dashboard"])
    worker = subprocess.Popen([*start, "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"])
    try:
        with connected(compute(scheduler=address)) as workers:
            assert workers.address == address
            done: list[int] = []
            assert workers.gather([workers.submit(len, "abc")], done.append) == []
            assert done == [3]
            futures = [workers.submit(time.sleep, 600)]
            scheduler.kill()
            with pytest.raises(PipelineError, match=rf"the Dask scheduler at {address} is gone; start it again"):
                workers.gather(futures, done.append)
    finally:
        for process in (scheduler, worker):
            process.kill()
            process.wait()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"missing": "No module named 'pipeline'"}, "lacks this project"),
        ({"token": ""}, "can't see .*; put the project on storage that all workers share"),
        ({"numpy": "1.0"}, r"has numpy 1\.0, and here it is"),
        ({"a processor of the kind": "z80"}, "has a processor of the kind z80, .*; use machines of the same kind"),
        ({"this project's code": "0"}, "has this project's code 0, and here it is"),
    ],
)
def test_a_worker_that_can_not_do_it_is_told(answer: dict[str, str], words: str, tmp_path: Path) -> None:
    own = connection._itself()
    connection._compare("tcp://1.2.3.4:5", own | {"token": "a"}, own, "a", tmp_path)
    with pytest.raises(PipelineError, match=rf"worker tcp://1\.2\.3\.4:5 {words}"):
        connection._compare("tcp://1.2.3.4:5", own | {"token": "a"} | answer, own, "a", tmp_path)


def test_wrong_settings_are_one_sentence(project: Path) -> None:
    edit(project, {"compute.scheduler": "tcp://127.0.0.1:8786"})
    done = pipeline(project, "prepare")
    assert done.returncode == 1
    assert "`compute`: `scheduler` is for `backend: dask`, which is loky" in done.stderr


def test_without_dask_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(PipelineError, match="the package distributed is not installed"), connected(compute()):
        pytest.fail("connected")


def test_nothing_large_travels(project: Path, small_shards: None, travelling: list[int]) -> None:
    edit(project, {"features": ["sift_fv"], "fusions": [], "networks": []})
    prepare.run()
    codebook.run("sift_fv")
    edit(project, DASK)
    features.run("sift_fv")
    assert len(travelling) == 13
    assert max(travelling) < 5000
    assert settings.load().compute.joblib == "loky"
