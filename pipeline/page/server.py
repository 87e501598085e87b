"""The server behind the page: on the loopback address alone, and for this page alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from pipeline.data.decode import Unreadable
from pipeline.errors import PipelineError
from pipeline.page.looking import Looking, data_uri

if TYPE_CHECKING:
    import numpy as np
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

HOST = "127.0.0.1"
MOST_BYTES = 64 << 20  # of an upload: more than any photograph's file
STATIC = Path(__file__).parent / "static"
STYLE = Path(__file__).parents[1] / "report" / "templates" / "style.css"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src blob:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}


#: Gives a response to a request.
Answer = Callable[["Request"], Awaitable["Response"]]


class Refused(Exception):
    """A request that gets one sentence and a status."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def need_packages() -> None:
    """Before anything is loaded.

    Raises:
        PipelineError: the server's packages are not installed.
    """
    missing = [package for package in ("starlette", "uvicorn") if find_spec(package) is None]
    if missing:
        raise PipelineError(
            f"the page needs the package {missing[0]}; install it with: pip install 'before-and-after-2012[page]'"
        )


def create_app(looking: Looking, port: int) -> Starlette:
    """The application for one port: only requests that name this machine and come from this page are answered."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    answers = _Answers(looking)
    hosts = {f"{name}:{port}" for name in (HOST, "localhost")}
    files = {
        "/": (STATIC / "page.html", "text/html"),
        "/page.js": (STATIC / "page.js", "text/javascript"),
        "/page.css": (STATIC / "page.css", "text/css"),
        "/style.css": (STYLE, "text/css"),
    }
    return Starlette(
        routes=[
            *(Route(address, _guarded(_file(path, kind), hosts)) for address, (path, kind) in files.items()),
            Route("/models", _guarded(answers.models, hosts)),
            *(
                Route(f"/{answer.__name__}", _guarded(answer, hosts), methods=["POST"])
                for answer in (answers.guess, answers.sees, answers.similar)
            ),
            Route("/{rest:path}", _guarded(_nothing, hosts), methods=["GET", "POST"]),
        ]
    )


class _Answers:
    """What the page asks for. Models work outside the event loop, for one request at a time: they use all cores."""

    def __init__(self, looking: Looking) -> None:
        self._looking = looking
        self._one_at_a_time = Lock()

    async def models(self, request: Request) -> Response:
        """Which models there are, and what they know."""
        card = self._looking.card
        known = {"dataset": card.dataset, "classes": len(card.classes), "licence": card.licence}
        known["changes"] = self._looking.changes()
        return _json({"models": self._looking.models(), **known})

    async def guess(self, request: Request) -> Response:
        """All models' guesses on an uploaded photograph, perhaps after a change."""
        raw, read = await _body(request), self._reader(request)

        def work() -> dict[str, Any]:
            image, note = read(raw)
            return {"image": data_uri(image), "note": note, "answers": self._looking.guess(image)}

        return _json(await self._working(work))

    async def sees(self, request: Request) -> Response:
        """What one model sees in it."""
        return await self._by_one(request, self._looking.sees)

    async def similar(self, request: Request) -> Response:
        """The training images that one model finds most like it."""
        return await self._by_one(request, self._looking.similar)

    async def _by_one(self, request: Request, function: Callable[[str, np.ndarray], Any]) -> Response:
        key = request.query_params.get("method", "")
        if key not in self._looking.stored:
            raise Refused(404, f"{key[:60]!r} is no fitted model here")
        raw, read = await _body(request), self._reader(request)
        return _json(await self._working(lambda: function(key, read(raw)[0])))

    def _reader(self, request: Request) -> Callable[[bytes], tuple[np.ndarray, str]]:
        """What makes of an upload the image that is asked about: after a change, where one is named."""
        change, severity = request.query_params.get("change", ""), request.query_params.get("severity", "1")
        if change and not (severity.isascii() and severity.isdigit() and len(severity) < 3):
            raise Refused(422, f"{severity[:60]!r} is no severity")

        def read(raw: bytes) -> tuple[np.ndarray, str]:
            image, note = self._looking.read(raw)
            return (self._looking.changed(image, change, int(severity)) if change else image), note

        return read

    async def _working(self, function: Callable[[], Any]) -> Any:
        from starlette.concurrency import run_in_threadpool

        def alone() -> Any:
            with self._one_at_a_time:
                return function()

        return await run_in_threadpool(alone)


def _guarded(answer: Answer, hosts: set[str]) -> Answer:
    """The same answer for this page alone, with the headers that every response has; what is wrong is a sentence."""
    from starlette.responses import PlainTextResponse

    async def guarded(request: Request) -> Response:
        try:
            _check_sender(request, hosts)
            response = await answer(request)
        except Refused as refused:
            response = PlainTextResponse(f"{refused}\n", refused.status)
        except (Unreadable, PipelineError) as error:
            response = PlainTextResponse(f"{error}\n", 422)
        response.headers.update(HEADERS)
        return response

    return guarded


def _file(path: Path, kind: str) -> Answer:
    from starlette.responses import FileResponse

    async def file(request: Request) -> Response:
        return FileResponse(path, media_type=kind)

    return file


async def _nothing(request: Request) -> Response:
    raise Refused(404, "there is nothing at this address")


def _json(value: Any) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse(value)


def _check_sender(request: Request, hosts: set[str]) -> None:
    """Another site's page could reach this port under a name of its own (DNS rebinding), or send to it."""
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    if host not in hosts:
        raise Refused(421, f"this page answers only as {' or '.join(sorted(hosts))}")
    if origin is not None and origin not in {f"http://{name}" for name in hosts}:
        raise Refused(403, "this page takes photographs only from itself, not from other sites")


async def _body(request: Request) -> bytes:
    """The uploaded file, of which no more than MOST_BYTES are ever in memory."""
    sentence = f"the file is larger than {MOST_BYTES >> 20} MB; choose a smaller one"
    announced = request.headers.get("content-length", "0")
    if not announced.isdigit() or int(announced) > MOST_BYTES:
        raise Refused(413, sentence)
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > MOST_BYTES:
            raise Refused(413, sentence)
    if not raw:
        raise Refused(422, "no file came with the request; choose a photograph")
    return bytes(raw)
