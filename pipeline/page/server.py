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
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import FileResponse, JSONResponse, PlainTextResponse
    from starlette.routing import Route

    one_at_a_time = Lock()
    hosts = {f"{name}:{port}" for name in (HOST, "localhost")}

    def guarded(answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def answered(request: Request) -> Response:
            try:
                _check_sender(request, hosts)
                response = await answer(request)
            except Refused as refused:
                response = PlainTextResponse(f"{refused}\n", refused.status)
            except (Unreadable, PipelineError) as error:
                response = PlainTextResponse(f"{error}\n", 422)
            response.headers.update(HEADERS)
            return response

        return answered

    async def working(function: Callable[..., Any], *given: Any) -> Any:
        """Outside the event loop, one request at a time: models use all cores by themselves."""

        def alone() -> Any:
            with one_at_a_time:
                return function(*given)

        return await run_in_threadpool(alone)

    async def models(request: Request) -> Response:
        card = looking.card
        return JSONResponse(
            {"models": looking.models(), "dataset": card.dataset, "classes": len(card.classes), "licence": card.licence}
        )

    async def guess(request: Request) -> Response:
        raw = await _body(request)

        def work() -> dict[str, Any]:
            image, note = looking.read(raw)
            return {"image": data_uri(image), "note": note, "answers": looking.guess(image)}

        return JSONResponse(await working(work))

    def of_method(function: Callable[..., Any]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            key = request.query_params.get("method", "")
            if key not in looking.stored:
                raise Refused(404, f"{key[:60]!r} is no fitted model here")
            raw = await _body(request)
            return JSONResponse(await working(lambda: function(key, looking.read(raw)[0])))

        return answer

    def file(path: Path, kind: str) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            return FileResponse(path, media_type=kind)

        return answer

    async def nothing(request: Request) -> Response:
        raise Refused(404, "there is nothing at this address")

    return Starlette(
        routes=[
            Route("/", guarded(file(STATIC / "page.html", "text/html"))),
            Route("/page.js", guarded(file(STATIC / "page.js", "text/javascript"))),
            Route("/page.css", guarded(file(STATIC / "page.css", "text/css"))),
            Route("/style.css", guarded(file(STYLE, "text/css"))),
            Route("/models", guarded(models)),
            Route("/guess", guarded(guess), methods=["POST"]),
            Route("/sees", guarded(of_method(looking.sees)), methods=["POST"]),
            Route("/similar", guarded(of_method(looking.similar)), methods=["POST"]),
            Route("/{rest:path}", guarded(nothing), methods=["GET", "POST"]),
        ]
    )


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
