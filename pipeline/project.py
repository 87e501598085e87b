"""Which project this is: in a folder of a larger repository, in a copy that DVC made for an experiment, without git."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from pipeline.errors import PipelineError

COPIES = (".dvc", "tmp", "exps")  # where `dvc exp run --temp` and `--queue` put copies of a project


def own_folder(here: Path | None = None) -> Path:
    """The folder that a person's relative paths start from: Path() for the one that this process is in.

    In a copy that DVC made for an experiment it is the project that the copy was made of: the copy holds what git
    knows, and thus no photographs.

    Args:
        here: default: where this process is.
    """
    here = here or Path.cwd()
    for above in here.parents:
        if above.parts[-3:] == COPIES:
            project, inside = above.parents[2], here.relative_to(repository(here) or here)
            ends = inside.parts == project.parts[len(project.parts) - len(inside.parts) :]
            return project if ends else project / inside
    return Path()


def repository(here: Path | None = None) -> Path | None:
    """The root of the git repository that a folder is in, if it is in one."""
    here = here or Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), None)


def in_repository(path: Path) -> Path:
    """A path of this project as git has it, from the root of the repository."""
    root = repository()
    return path if root is None else Path.cwd().relative_to(root) / path


def check_repository() -> None:
    """DVC needs git, unless it was told to do without.

    Raises:
        PipelineError: there is none: somebody unpacked a ZIP. Or nothing has been committed yet.
    """
    told = any("no_scm" in path.read_text(encoding="utf-8") for path in Path(".dvc").glob("config*") if path.is_file())
    if told:
        return
    if repository() is None:
        raise PipelineError(
            f"{Path.cwd()}: is no git repository, which DVC needs (a downloaded ZIP is none); run `git init && git add "
            "-A && git commit -m start`, or do without revisions and experiments: `dvc config --local core.no_scm true`"
        )
    if shutil.which("git") is None:  # then DVC says so
        return
    asked = subprocess.run(["git", "rev-parse", "--verify", "--quiet", "HEAD"], capture_output=True, check=False)
    if asked.returncode and not asked.stderr:  # where git can't tell, DVC will say why
        raise PipelineError(
            f"{Path.cwd()}: the git repository has no commit yet, which DVC needs; run `git add -A && git commit -m "
            "start`"
        )
