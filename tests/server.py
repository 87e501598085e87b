"""A server on loopback, for tests of downloads."""

from __future__ import annotations

import http.server
import threading


class Server:
    """Serves bytes on loopback, with ranges; can break off after some bytes."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.break_after: int | None = None
        self.ranges: list[str | None] = []
        self.asked: list[str] = []
        self.following: dict[str, str] = {}  # path → the address of the next page
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = outer.files.get(self.path)
                wanted = self.headers.get("Range")
                outer.ranges.append(wanted)
                outer.asked.append(self.path)
                if body is None:
                    self.send_error(404)
                    return
                start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
                if start >= len(body):
                    self.send_error(416)
                    return
                self.send_response(206 if wanted else 200)
                self.send_header("Content-Length", str(len(body) - start))
                if self.path in outer.following:
                    self.send_header("Link", f'<{outer.url}{outer.following[self.path]}>; rel="next"')
                self.end_headers()
                end = len(body) if outer.break_after is None else start + outer.break_after
                self.wfile.write(body[start:end])

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
