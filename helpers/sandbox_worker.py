"""The process that a Sandbox starts: eryx (CPython in WebAssembly) at the end of a pipe.

    python -I sandbox_worker.py CACHE

Reads requests from standard input and writes what comes of them to standard output, both
as frames: one byte that says what it is, four for the size, the content.

It sets no limit on time, memory or output: it can't be trusted to, for the code that it
runs may have taken it over. sandbox.py watches it from outside and kills it.
"""

import json
import os
import queue
import struct
import sys
import threading
from pathlib import Path
from typing import BinaryIO

REQUEST, READY, STDOUT, STDERR, REPLY = b"Q", b"R", b"O", b"E", b"D"
HEADER = struct.Struct(">cI")
GUEST = Path(__file__).with_name("sandbox_guest.py")
CHECK = json.dumps({"run": "__import__('sys').stdout.write('checked')\n0 / 0"})


def write_frame(pipe: BinaryIO, kind: bytes, content: bytes) -> None:
    """Write one frame. OSError if the other side is gone."""
    pipe.write(HEADER.pack(kind, len(content)) + content)
    pipe.flush()


def read_frame(pipe: BinaryIO, max_size: int = 2**32 - 1) -> tuple[bytes, bytes]:
    """Read one frame: its kind and its content.

    EOFError if the other side is gone, OverflowError if the content has more than
    max_size bytes; then it is not read.
    """
    header = pipe.read(HEADER.size)
    if len(header) < HEADER.size:
        raise EOFError
    kind, size = HEADER.unpack(header)
    if size > max_size:
        raise OverflowError
    content = pipe.read(size)
    if len(content) < size:
        raise EOFError
    return kind, content


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Move the pipes off descriptors 0 to 2, which the guest can reach past its capture."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    return requests, replies


def receive(pipe: BinaryIO, requests: queue.Queue) -> None:
    """Queue the requests. When the pipe closes, the kernel is gone, perhaps killed: end
    this process too, though the guest may be in the middle of something."""
    try:
        while True:
            requests.put(read_frame(pipe)[1].decode())
    except EOFError:
        os._exit(0)


def main(cache: str) -> None:
    """Open a session, say READY, then answer requests one by one."""
    pipe, replies = take_pipes()
    import eryx

    # eryx unpacks into the temporary folder, where another version must not find its files.
    folder = Path(cache, f"eryx-{eryx.__version__}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chdir(folder)
    os.environ.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder)))

    sending = threading.Lock()  # output arrives on a thread of eryx's
    checked: list[bytes] | None = None  # the output, while the session is checked

    def send(kind: bytes, content: bytes) -> None:
        with sending:
            if checked is None:
                write_frame(replies, kind, content)
            else:
                checked.append(content)

    session = eryx.Session(
        on_stdout=lambda data: send(STDOUT, data), on_stderr=lambda data: send(STDERR, data)
    )

    def serve(request: str) -> str:
        return session.execute(f"result = serve({request!r})").result_json

    def check() -> list:
        """What becomes of code that prints and then fails: always the same, in good health."""
        nonlocal checked
        checked = []
        outcome = [serve(CHECK), *checked]
        checked = None
        return outcome

    session.execute(GUEST.read_text(encoding="utf-8"))
    healthy = check()
    send(READY, str(os.getpid()).encode())
    requests = queue.Queue()
    threading.Thread(target=receive, args=(pipe, requests), daemon=True).start()
    while True:
        reply = serve(requests.get())
        # Code that breaks the session must not break the next run. So find out now, at the cost
        # of a second execution, and end: this run fails, and a new worker takes over.
        if check() != healthy:
            break
        send(REPLY, reply.encode())


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    finally:
        os._exit(1)  # at once: the reading thread is blocked on its pipe
