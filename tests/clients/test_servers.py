"""A web server with several workers."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.kit import eventually

APPLICATION = """
import json, multiprocessing, os

async def application(scope, receive, send):
    while scope["type"] == "lifespan":
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
    seen = [os.getpid(), multiprocessing.__name__, multiprocessing.parent_process().pid]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})
"""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


def test_uvicorn_with_workers(tmp_path: Path) -> None:
    """Both answer, one that is killed is replaced, and Ctrl-C ends all."""
    (tmp_path / "app.py").write_text(APPLICATION, encoding="utf-8")
    port = free_port()
    words = ["uvicorn", "app:application", "--workers", "2", "--port", str(port), "--log-level", "warning"]
    server = subprocess.Popen([sys.executable, "-m", "procession", "-m", *words], cwd=tmp_path)
    answers: set[tuple[int, str, int]] = set()

    def ask() -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                answers.add(tuple(json.load(answer)))  # type: ignore[arg-type]
        except OSError:
            pass
        return len(answers)

    try:
        eventually(lambda: ask() == 2, 30)
        assert {(package, parent) for _, package, parent in answers} == {("procession", server.pid)}
        killed = min(pid for pid, *_ in answers)
        subprocess.run(["kill", "-KILL", str(killed)], check=True)
        eventually(lambda: ask() == 3, 30)
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0
    finally:
        server.kill()
        server.wait()
