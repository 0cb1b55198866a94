"""Which code a training step runs, so that a compiled step stands for no other."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from types import FunctionType

from .files import digest
from .loss import Objective
from .model import M3L
from .networks import BatchNorm, Decoder, InferenceNetwork, InputScaling


def code_of_a_step(step: Callable, objective: Objective, model: M3L) -> str:
    """Return a digest of the code that says what a step computes, comments and docstrings aside.

    It follows the functions that the step, the objective and the model call, wherever they are
    defined. Code whose text is not at hand gives "".
    """
    parts = {type(part) for part in model.modules()} - {type(model)}
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
