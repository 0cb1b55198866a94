"""Which code a training step runs, so that a compiled step stands for no other."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from types import FunctionType

import torch

from .files import digest
from .loss import Objective
from .model import M3L
from .networks import BatchNorm, Decoder, InferenceNetwork, InputScaling

# the digest of the code that m3l/fused.py computes; whoever changes the one changes the other
WRITTEN_FOR = "9b8a35378a83c47e7ee515573b62620de7c0cfd2af0344cd4e7e13035dc0d0fa"


def code_of_a_step(step: Callable, objective: Objective, model: M3L) -> str:
    """Return a digest of the code that says what a step computes, comments and docstrings aside.

    It follows the functions that the step, the objective and the model call, wherever they are
    defined. Code whose text is not at hand gives "".
    """
    parts = {type(part) for part in model.modules()} - {type(model)}
    # of models with and without words the digest is one
    parts |= {BatchNorm, Decoder, InferenceNetwork, InputScaling}
    waiting = [step, type(objective).__call__]
    waiting += [getattr(type(model), name) for name in ("forward", "encode", "decode")]
    waiting += [type(model).network_of]
    for part in parts:
        if not part.__module__.startswith("torch."):
            waiting += [code for code in vars(part).values() if isinstance(code, FunctionType)]
    seen: dict[FunctionType, str] = {}
    while waiting:
        code = waiting.pop()
        if code in seen:
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(code)))
        except (AttributeError, OSError, TypeError, SyntaxError):
            return ""
        if ast.get_docstring(tree.body[0]):
            tree.body[0].body = tree.body[0].body[1:]
        seen[code] = ast.dump(tree)
        around = getattr(code, "__globals__", {})
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        waiting += [around[n] for n in names if isinstance(around.get(n), FunctionType)]
    return digest(*sorted(set(seen.values())))


def obstacle(device: torch.device, step: Callable, objective: Objective, model: M3L) -> str:
    """Return why the compiled step cannot stand for ``step`` here; "" if it can."""
    if device.type != "cpu":
        return f"it runs on a CPU, not on {device.type}"
    if not all(w.requires_grad and w.dtype == torch.float32 for w in model.parameters()):
        return "it learns all of a model's weights, and in float32"
    if code_of_a_step(step, objective, model) != WRITTEN_FOR:
        return "the step, the loss or the model is not the one that it was written for"
    return ""
