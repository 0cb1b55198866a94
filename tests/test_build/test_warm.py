"""Chapters in forks of a process that has imported everything."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = [sys.executable, "-IS", str(ROOT / "workflow" / "warm.py")]


def run(arguments, environment, **options):
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        **options,
    )


@pytest.fixture(scope="module")
def cold():
    return {k: v for k, v in os.environ.items() if k != "M3L_WARM"} | {"PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def warm(tmp_path_factory, cold):
    """The environment of a client of a server that runs while this module's tests do."""
    sys.path.insert(0, str(ROOT / "workflow"))
    import warm as module

    folder = Path("/tmp") / f"m3l-test-{os.getpid()}"  # a socket's path must be short
    folder.mkdir()
    server = subprocess.Popen(
        [sys.executable, str(ROOT / "workflow" / "warm.py"), "--serve", str(folder / "s")],
        cwd=ROOT,
        env=cold,
    )
    while not ((folder / "s").exists() or (folder / "s.starting").exists()):
        assert server.poll() is None
        time.sleep(0.05)
    yield cold | {"M3L_WARM": str(folder / "s"), "JUPYTER_PATH": module.kernel_path(str(folder))}
    server.terminate()
    server.wait()
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


def ended(pid):
    """Wait until a process has ended."""
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.1)


def outputs(path):
    """What a chapter shows, less what is new in each run: ids of tables, and seconds."""
    shown = []
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            shown.append((output.get("text"), output.get("data", {}).get("image/svg+xml")))
    return shown


def test_a_chapter_shows_the_same_in_a_fork_as_in_a_process_of_its_own(warm, cold, tmp_path):
    chapter = ["m3l_book.execute", "book/03-model.ipynb"]
    for name, environment in (("warm", warm), ("cold", cold)):
        result = run([*chapter, tmp_path / f"{name}.ipynb", "-p", "profile", "x"], environment)
        assert result.returncode == 0, result.stderr
        assert "03-model.ipynb ->" in result.stdout
    a, b = outputs(tmp_path / "warm.ipynb"), outputs(tmp_path / "cold.ipynb")
    assert (
        a == b and sum(picture is not None for _, picture in a) >= 2 and any(text for text, _ in a)
    )


def test_folder_environment_and_streams_are_the_clients(warm, tmp_path):
    (tmp_path / "told.py").write_text(
        "import os, sys\ndef main(arguments):\n    print(os.getcwd(), os.environ['SAID'],"
        " arguments, flush=True)\n    print('to stderr', file=sys.stderr)\n    return 7\n"
    )
    command = [*PROGRAM, "told", "a", "b c"]
    actual = subprocess.run(
        command,
        cwd=tmp_path,
        env=warm | {"SAID": "hello", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    # the server's own path is not the client's: a module that it cannot import is an error that
    # names it
    assert actual.returncode == 1 and "No module named 'told'" in actual.stderr


def test_a_failing_chapter_says_so_and_fails(warm, tmp_path):
    result = run(
        ["m3l_book.execute", "book/03-model.ipynb", tmp_path / "x.ipynb", "-p", "topics", "none"],
        warm,
    )
    assert (
        result.returncode == 1
        and "topics='none'" in result.stderr
        and not (tmp_path / "x.ipynb").exists()
    )


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_fork_has_as_many_threads_as_a_process_of_its_own_would(warm, cold, tmp_path, threads):
    code = (
        "import torch, threadpoolctl, scipy.linalg\nprint(torch.get_num_threads(),"
        " sorted({i['num_threads'] for i in threadpoolctl.threadpool_info() if i['user_api'] =="
        " 'blas'}))"
    )
    book = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
    )
    book.cells = [
        nbformat.v4.new_code_cell(
            'profile: str = ""  # nothing', metadata={"tags": ["parameters"]}
        ),
        nbformat.v4.new_code_cell(code),
    ]
    nbformat.write(book, tmp_path / "ask.ipynb")
    limits = {f"{library}_NUM_THREADS": threads for library in ("OMP", "OPENBLAS", "MKL")}
    message = []
    for name, environment in (("warm", warm), ("cold", cold)):
        result = run(
            ["m3l_book.execute", tmp_path / "ask.ipynb", tmp_path / f"{name}.ipynb"],
            environment | limits,
        )
        assert result.returncode == 0, result.stderr
        message.append(outputs(tmp_path / f"{name}.ipynb")[-1][0])
    assert message[0] == message[1] == f"{threads} [{threads}]\n"


def test_a_killed_client_takes_its_work_with_it(warm, tmp_path):
    slow = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
    )
    parameters = nbformat.v4.new_code_cell(
        'profile: str = ""  # nothing', metadata={"tags": ["parameters"]}
    )
    wait = (
        "import os, pathlib, time\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        "while True:\n    time.sleep(0.1)"
    )
    slow.cells = [parameters, nbformat.v4.new_code_cell(wait)]
    nbformat.write(slow, tmp_path / "slow.ipynb")
    client = subprocess.Popen(
        [*PROGRAM, "m3l_book.execute", str(tmp_path / "slow.ipynb"), str(tmp_path / "out.ipynb")],
        cwd=ROOT,
        env=warm,
    )
    while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()):
        assert client.poll() is None
        time.sleep(0.1)
    kernel = int((tmp_path / "pid").read_text())
    client.send_signal(signal.SIGKILL)
    client.wait()
    ended(kernel)
    assert not (tmp_path / "out.ipynb").exists()


def test_without_a_server_it_is_python_itself(cold, tmp_path):
    result = run(["m3l_book.execute", "--help"], cold)
    assert result.returncode == 0 and "CHAPTER" in result.stdout.upper()
    gone = run(["json.tool", "--help"], cold | {"M3L_WARM": str(tmp_path / "nobody")})
    assert gone.returncode == 0


def test_the_server_ends_with_the_process_that_started_it(cold, tmp_path):
    folder = Path("/tmp") / f"m3l-end-{os.getpid()}"
    folder.mkdir()
    code = (
        "import subprocess, sys, time; p = subprocess.Popen([sys.executable, 'workflow/warm.py',"
        f" '--serve', {str(folder / 's')!r}]); print(p.pid, flush=True); time.sleep(10**6)"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=cold, stdout=subprocess.PIPE, text=True
    )
    pid = int(starter.stdout.readline())
    while not (folder / "s").exists():
        assert starter.poll() is None
        time.sleep(0.05)
    starter.kill()
    starter.wait()
    ended(pid)
    (folder / "s").unlink()
    folder.rmdir()
