"""Chapters in forks of a process that has imported everything, so that a run costs its own work and
not five seconds of imports.

``python -IS workflow/warm.py MODULE ARGUMENT ...`` does what ``python -m MODULE ARGUMENT ...``
does. Where the environment names the socket of a server (M3L_WARM), it does so in a fork of that
server, and notebooks' kernels are forks too; elsewhere, as on a cluster's node, it just starts
Python. A build starts the server, ``python workflow/warm.py --serve SOCKET``, which ends with the
build.
"""

import json
import os
import select
import signal
import socket
import sys
import time

SOCKET = "M3L_WARM"
PRELOADED = (
    *(
        "papermill",
        "ipykernel.kernelapp",
        "ipykernel.ipkernel",
        "nbclient",
        "pandas",
        "pyarrow.parquet",
        "seaborn",
        "myst_nb",
        "numba",
        "scipy.optimize",
    ),
    *(
        "safetensors.torch",
        "sklearn.metrics",
        "sklearn.feature_extraction.text",
        "stopwordsiso",
        "torch",
        "torch._dynamo",  # which making an optimiser imports, in five seconds
        "threadpoolctl",
        "scipy.sparse.linalg",
    ),
    *(
        "m3l.train",
        "m3l.pltm",
        "m3l.fused",
        "m3l.metrics.assessment",
        "m3l_book.execute",
        "m3l_book.claims",
        "m3l_book.data.embed",
    ),
    *(
        "m3l_book.figures.charts",
        "m3l_book.figures.corpora",
        "m3l_book.tables.shared",
        "m3l_book.topic_space",
    ),
)
KERNEL = "ipykernel.kernelapp"


def connect(path: str) -> socket.socket | None:
    """A connection to the server, waited for while it imports; None if there is none."""
    while True:
        channel = socket.socket(socket.AF_UNIX)
        try:
            channel.connect(path)
            return channel
        except OSError:
            channel.close()
            if not os.path.exists(f"{path}.starting"):
                return None
            time.sleep(0.05)


def ask(arguments: list[str]) -> int:
    """Run a module with its arguments, in a fork of the server if there is one; its exit status."""
    path = os.environ.get(SOCKET, "")
    channel = connect(path) if path else None
    if arguments[0] == KERNEL and sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(
            1, signal.SIGKILL
        )  # PR_SET_PDEATHSIG: a kernel ends with the notebook that started it, however that ended
    if channel is None:
        os.execv(sys.executable, [sys.executable, "-m", *arguments])
    message = json.dumps(
        {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
    ).encode()
    socket.send_fds(channel, [len(message).to_bytes(8, "big")], [0, 1, 2])
    channel.sendall(message)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(
            number, lambda number, _: sys.exit(128 + number)
        )  # the connection closes, which ends the fork
    answer = b""
    while len(answer) < 4:
        part = channel.recv(4 - len(answer))
        if not part:
            return 137  # killed: it could not say how it ended
        answer += part
    return int.from_bytes(answer, "big")


def serve(path: str) -> None:
    """Import, then fork for each connection, until the process that started this one is gone."""
    parent = os.getppid()
    open(f"{path}.starting", "w").close()
    try:
        for name in PRELOADED:
            __import__(name)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(64)
    finally:  # a server that cannot start keeps nobody waiting
        os.unlink(f"{path}.starting")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while os.getppid() == parent:
        if select.select([listener], [], [], 1.0)[0]:
            channel, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _work(channel)
            channel.close()


def _work(channel: socket.socket) -> None:
    """In the fork: take over the client's folder, environment and streams, run, say how it went."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, streams, _, _ = socket.recv_fds(channel, 8, 3)
    size, message = int.from_bytes(head, "big"), b""
    while len(message) < size:
        message += channel.recv(size - len(message))
    request = json.loads(message)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
        os.close(stream)
    _limit_threads(os.environ.get("OMP_NUM_THREADS", ""))
    _end_with_the_client(channel)
    status = _run(*request["arguments"])
    sys.stdout.flush()
    sys.stderr.flush()
    channel.sendall(status.to_bytes(4, "big"))
    os._exit(status)


def _limit_threads(number: str) -> None:
    """What a fresh process would read from its environment: libraries that are loaded already must
    be told. Sums of more threads round otherwise.
    """
    import threadpoolctl
    import torch

    threads = int(number) if number.isdigit() and int(number) else os.cpu_count() or 1
    torch.set_num_threads(threads)
    threadpoolctl.threadpool_limits(threads)


def _end_with_the_client(channel: socket.socket) -> None:
    import threading

    def watch():
        if not channel.recv(1):
            os._exit(143)

    threading.Thread(target=watch, daemon=True).start()


def _run(module: str, *arguments: str) -> int:
    import importlib
    import traceback

    from m3l_book import chapter

    chapter.STARTED = (
        time.perf_counter()
    )  # a page says how long it took, not how long the server has been up
    sys.argv = [module, *arguments]
    try:
        if module == KERNEL:
            import matplotlib

            matplotlib.rcParams[
                "backend"
            ] = (  # what the kernel's environment asks of a fresh import
                "module://matplotlib_inline.backend_inline"
            )
            importlib.import_module(module).launch_new_instance(list(arguments))
            return 0
        return int(importlib.import_module(module).main(list(arguments)) or 0)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        return 130
    except BaseException:
        traceback.print_exc()
        return 1


def kernel_path(folder: str) -> str:
    """Write the kernel that notebooks are given, which starts through this file, into ``folder``;
    the value of JUPYTER_PATH.
    """
    place = os.path.join(folder, "kernels", "python3")
    os.makedirs(place, exist_ok=True)
    start = [sys.executable, "-IS", os.path.abspath(__file__), KERNEL, "-f", "{connection_file}"]
    with open(os.path.join(place, "kernel.json"), "w", encoding="utf-8") as file:
        json.dump({"argv": start, "display_name": "Python 3", "language": "python"}, file)
    return folder


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2])
    else:
        sys.exit(ask(sys.argv[1:]))
