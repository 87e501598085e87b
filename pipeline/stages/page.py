"""page: models/ → a page on this machine, on which all models look at a photograph."""

import socket
import webbrowser
from pathlib import Path
from threading import Timer

from pipeline import progress
from pipeline.errors import PipelineError
from pipeline.page.looking import Looking
from pipeline.page.server import HOST, create_app, need_packages
from pipeline.prediction.choosing import cards_below, compute_here, current, load_all

OPENED_AFTER = 0.5  # seconds, in which the server starts


def run(models: Path, port: int, browser: bool) -> None:
    """Load all models, and serve until Ctrl-C.

    Raises:
        PipelineError: a package is missing, there is no model, or the port is taken.
    """
    need_packages()
    import uvicorn

    names = list(current(cards_below(models), models))
    with progress.bar("loading models", len(names), unit="models") as bar:
        looking = Looking.of(load_all(models, names, compute_here()))
        for name in names:
            looking.warm(name)
            bar.advance(1)
    with _listening(port) as listener:
        port = listener.getsockname()[1]
        address = f"http://{HOST}:{port}/"
        progress.say(f"page: {address} (only this machine can open it; Ctrl-C ends it)")
        if browser:
            Timer(OPENED_AFTER, webbrowser.open, [address]).start()
        config = uvicorn.Config(create_app(looking, port), log_level="warning", access_log=False, server_header=False)
        uvicorn.Server(config).run(sockets=[listener])


def _listening(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise PipelineError(
            f"port {port} cannot be opened ({error.strerror}); name another with --port, or 0 for any that is free"
        ) from error
    return listener
