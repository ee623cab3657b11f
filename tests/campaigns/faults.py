"""Which faults can be planted in ``_nn`` and ``_bridge``, a node of the syntax tree at a time.

Left out, as no test here could or should see a difference: texts (docstrings, errors, warnings), ``docs.py``, default
arguments (estimators pass their own; signatures and docs are held together elsewhere), ``strict`` of zips, ``detach``
where no gradient flows, and branches for cuda and mps.
"""

import ast
import hashlib
from collections import Counter
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src/sklatent"
FILES = [f"{room}/{p.name}" for room in ("_nn", "_bridge") for p in sorted((SOURCE / room).glob("*.py"))]
FILES = [name for name in FILES if not name.endswith(("__init__.py", "docs.py"))]
EQUIVALENT = {  # name of a fault: why it changes nothing that a test could or should see
    "_nn/layers.py cell_sums: True -> False in maps = maps.unflatten(1, image_shape).sum(1, keepdim=True)": (
        "avg_pool2d takes (n, h, w) as well, and what follows is flattened"
    ),
    "_nn/layers.py at_least_float32: x.dtype.itemsize < 4 -> x.dtype.itemsize <= 4": "float32 to float32",
    "_nn/corruption.py __call__: torch.rand_like(u) >= self.fraction -> torch.rand_like(u) > self.fraction": (
        "one draw in 2^24 is equal"
    ),
    "_nn/corruption.py __call__: torch.rand_like(u) < self.fraction -> torch.rand_like(u) <= self.fraction": (
        "one draw in 2^24 is equal"
    ),
    "_nn/likelihoods.py draw: torch.rand(p.shape, generator=generator, device=p.device, dtype=p.dtype) < p -> "
    "torch.rand(p.shape, generator=generator, device=p.device, dtype=p.dtype) <= p": "one draw in 2^24 is equal",
    "_nn/corruption.py __call__: u + self.scale * torch.randn_like(u) -> u - self.scale * torch.randn_like(u)": (
        "the noise is symmetric"
    ),
    "_nn/pixelrnn.py __init__: height + width - 1 -> (height + width) in self.steps = [(max(0, d - width + 1), "
    "min(height - 1, d)) for d in range(height + width - 1)]  # rows, incl.": "one more diagonal, of no pixels",
    "_nn/vae.py forward: kl.mean(0) >= self.free_bits -> kl.mean(0) > self.free_bits": "both pay the same",
    "_nn/likelihoods.py mean: params.squeeze(-1).sigmoid() -> params.squeeze(-1).sigmoid().detach()": (
        "no loss takes this mean"
    ),
    "_nn/vae.py regret: part.detach().clone() -> part.detach()": "no one reads the encoder's own again",
    "_nn/vae.py held_out_loss: 8 -> 9 in noise = torch.randn(8, self.n_latent, generator=torch.Generator()."
    "manual_seed(0)).to(u)": "nine draws do as well",
    "_nn/autoencoders.py forward: self.decoder.scale.square().sum() -> self.decoder.scale.square().sum().detach()": (
        "the scale is not trained"
    ),
    "_nn/made.py _started: log_weight.amax(-1, keepdim=True) -> log_weight.amax(-1, keepdim=True).detach()": (
        "these weights are not trained"
    ),
    '_bridge/loading.py __torch_function__: kwargs["device"] if makes else [*given, "cpu"][0] -> ([*given, "cpu"]'
    "[0])": ("a draw on meta takes nothing from the generator that it then has"),
    "_bridge/devices.py resolve_device: 0 -> 1 in return torch.empty(0, device=name).device": "its device counts",
    "_bridge/unsupervised.py partial_fit: seed + self.n_iter_ -> seed - self.n_iter_ in seed = (seed + self.n_iter_) % "
    "2**31  # not the same shuffle in every call": "a seed is as good as another",
    "_bridge/loading.py check_saved: arrays.keys() - tensors.keys() -> arrays.keys()": "names in both are seen twice",
    "_bridge/training.py complete: 0 -> 1 in known = np.where(missing, 0, X)": "no one reads what is missing",
    "_bridge/base.py fresh_seed: 31 -> 32 in return int(check_random_state(random_state).randint(2**31 - 1))": (
        "a seed is as good as another"
    ),
    "_bridge/base.py fresh_seed: 1 -> 2 in return int(check_random_state(random_state).randint(2**31 - 1))": (
        "a seed is as good as another"
    ),
    '_bridge/callbacks.py on_epoch_begin: False -> True in self.bar_.set_description(f"epoch {self.n_epochs_}/'
    '{net.max_epochs}", refresh=False)': "the bar is drawn once more",
}

SWAPS = {
    "min": "max", "amin": "amax", "minimum": "maximum", "cummin": "cummax", "floor": "ceil", "any": "all",
    "mean": "sum", "logsumexp": "amax", "logaddexp": "maximum",
}  # fmt: skip
SWAPS |= {"sum": "mean"} | {new: old for old, new in SWAPS.items() if old not in ("mean", "logsumexp", "logaddexp")}
DROPPED = {
    "abs", "clamp", "clamp_min", "exp", "log", "square", "sqrt", "relu", "sigmoid", "tanh", "detach", "clone", "round",
    "floor", "eval", "sort", "rint", "deepcopy", "log1p", "ceil",
}  # fmt: skip
OF_TENSORS = {"view", "unsqueeze", "mul", "norm", "log_softmax", "softmax", "flatten"} | DROPPED | set(SWAPS)
OPERATORS = {
    ast.Add: ("sign", "+", "-"), ast.Sub: ("sign", "-", "+"), ast.Mult: ("factor", "*", "/"),
    ast.Div: ("factor", "/", "*"), ast.Lt: ("comparison", "<", "<="), ast.LtE: ("comparison", "<=", "<"),
    ast.Gt: ("comparison", ">", ">="), ast.GtE: ("comparison", ">=", ">"), ast.Eq: ("comparison", "==", "!="),
    ast.NotEq: ("comparison", "!=", "=="), ast.Is: ("condition", "is", "is not"), ast.And: ("condition", "and", "or"),
    ast.IsNot: ("condition", "is not", "is"), ast.Or: ("condition", "or", "and"), ast.In: ("condition", "in", "not in"),
    ast.NotIn: ("condition", "not in", "in"), ast.BitAnd: ("condition", "&", "|"), ast.BitOr: ("condition", "|", "&"),
}  # fmt: skip


def text_of(node, text):
    """What stands there, in brackets where what is around it could tear it apart."""
    found = ast.get_source_segment(text, node)
    return found if isinstance(node, ast.Name | ast.Constant | ast.Call | ast.Attribute) else f"({found})"


def exchanged(parts, text, old, new):
    """The node with another operator between its first two parts."""
    node, left, right = parts
    between = slice(left.end, right.start)
    return text[node.start : left.end] + text[between].replace(old, new, 1) + text[right.start : node.end]


def faults_of(node, text, here):
    """(kind, node to replace, what to put there) for each fault at a node; ``here``: its parents, the nearest last."""
    parent = here[-1]
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.Compare):
        left, right = {
            ast.BinOp: lambda: (node.left, node.right), ast.BoolOp: lambda: node.values[:2],
            ast.Compare: lambda: (node.left, node.comparators[0]),
        }[type(node)]()  # fmt: skip
        operator = type(node.ops[0] if isinstance(node, ast.Compare) else node.op)
        if isinstance(getattr(right, "value", None), str):  # of texts; of kinds of devices
            return
        if operator in OPERATORS:
            kind, *signs = OPERATORS[operator]
            yield kind, node, exchanged((node, left, right), text, *signs)
        if operator in (ast.Add, ast.Sub, ast.Mult, ast.Div):
            yield ("term" if kind == "sign" else kind), node, text_of(left, text)
        if operator is ast.Add:
            yield "term", node, text_of(right, text)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not | ast.Invert):
        yield ("sign" if isinstance(node.op, ast.USub) else "condition"), node, text_of(node.operand, text)
    elif isinstance(node, ast.If):
        yield "condition", node.test, "False"
    elif isinstance(node, ast.IfExp):
        yield from (("condition", node, text_of(part, text)) for part in (node.body, node.orelse))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "flag", node, str(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        of_call = isinstance(parent, ast.Call) and isinstance(parent.func, ast.Attribute)
        kind = "dim" if of_call else "index" if any(isinstance(each, ast.Slice) for each in here[-2:]) else "constant"
        yield kind, node, str(node.value + 1 if isinstance(node.value, int) else 2 * node.value or 1.0)
    elif isinstance(node, ast.Call):
        yield from faults_of_call(node, text, here)
    elif isinstance(node, ast.AugAssign | ast.Expr | ast.Assign):
        names = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name | ast.Tuple)
        if not names and getattr(parent, "name", "") != "__init__":  # else what follows would fail for sure
            yield "statement", node, "pass"


def faults_of_call(node, text, here):
    """As ``faults_of``, at a call."""
    name = getattr(node.func, "attr", getattr(node.func, "id", None))
    whole = ast.get_source_segment(text, node)
    if name in SWAPS and (isinstance(node.func, ast.Attribute) or name in ("min", "max", "any", "all")):
        start = node.func.end - node.start
        yield "extreme", node, whole[: start - len(name)] + SWAPS[name] + whole[start:]
    receiver = getattr(node.func, "value", None)
    if name in DROPPED and receiver is not None:
        of_module = isinstance(receiver, ast.Name) and receiver.id in ("np", "torch", "math", "copy")
        yield "dropped", node, text_of(node.args[0] if of_module else receiver, text)
    of_module = isinstance(receiver, ast.Name) and receiver.id in ("np", "math")
    learns = here[0].file.startswith("_nn") and not here[0].file.endswith(("scaling.py", "corruption.py"))
    learns &= not of_module and not whole.endswith(".detach()") and not any(map(no_gradient, here))
    learns &= "degrees" not in whole
    if learns and isinstance(node.func, ast.Attribute) and name in OF_TENSORS:
        yield "detach", node, f"{whole}.detach()"
    if name in ("manual_seed", "RandomState") and node.args and not isinstance(node.args[0], ast.Constant):
        yield "seed", node.args[0], "0"
    for word in node.keywords:
        if word.arg == "generator":
            yield "seed", word.value, "None"
        elif word.arg in ("min", "max"):
            yield "extreme", node, whole.replace(f"{word.arg}=", f"{SWAPS[word.arg]}=", 1)


def no_gradient(node):
    """Whether no loss is computed in here, or nothing that is trained takes part."""
    if not isinstance(node, ast.FunctionDef | ast.ClassDef):
        return isinstance(node, ast.With) and "no_grad" in ast.unparse(node.items[0])
    return any("no_grad" in ast.unparse(each) for each in node.decorator_list) or node.name.endswith((
        "Cache", "ByDegree", "draw", "sample", "statistics", "features", "cell_sums", "pooled", "held_out_loss",
        "regret", "resample", "late", "limits", "table", "degrees", "positions", "log_width", "__init__", "matrix",
        "unbounded", "row", "_pick", "_chosen", "decode", "_unit",
    ))  # fmt: skip


def skipped(node, here):
    """Whether what is here is a text, a default, an annotation, or for a device that is not here."""
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.arguments):
        return True
    if isinstance(node, ast.keyword) and node.arg == "strict":  # of zip: a check of ours
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "warn":
        return True
    if isinstance(node, ast.If | ast.IfExp) and any(
        word in ast.unparse(node.test) for word in ("cuda", "mps", ".type ==")
    ):
        return True
    return isinstance(here[-1], ast.FunctionDef) and node in here[-1].decorator_list


def told(file, functions, text, old, new):
    """The name of a fault, which does not move with its line."""
    before, whole = " ".join(text[old.start : old.end].split()), text.splitlines()[old.lineno - 1].strip()
    where = f"{file} {'.'.join(each.name for each in functions)}".strip()
    return f"{where}: {before} -> {' '.join(new.split())}" + (f" in {whole}" if len(before) < 20 else "")


def faults(file, text=None):
    """All faults of a file, in the order of its text: dicts that say what, where, and which function it is in."""
    text = (SOURCE / file).read_text() if text is None else text
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    tree, found = ast.parse(text), []
    tree.file = file
    for node in ast.walk(tree):
        if hasattr(node, "lineno"):
            node.start = starts[node.lineno - 1] + node.col_offset
            node.end = starts[node.end_lineno - 1] + node.end_col_offset

    def visit(node, here):
        if here and skipped(node, here):
            return
        for kind, old, new in faults_of(node, text, here) if here else ():
            functions = [each for each in here if isinstance(each, ast.FunctionDef)]
            first = min(each.lineno for each in (functions[-1], *functions[-1].decorator_list)) if functions else None
            names = [each.targets[0] for each in here if isinstance(each, ast.Assign)]
            found.append({
                "file": file, "kind": kind, "start": old.start, "end": old.end, "new": new, "line": old.lineno,
                "place": first and f"{file}:{first}", "constant": "" if functions else ast.unparse(names).strip("[]"),
                "name": told(file, functions, text, old, new),
            })  # fmt: skip
        for child in ast.iter_child_nodes(node):
            visit(child, [*here, node])

    visit(tree, [])
    same = Counter()
    for fault in found:
        same[fault["name"]] += 1
        fault["key"] = fault["name"] + (f" #{same[fault['name']]}" if same[fault["name"]] > 1 else "")
    return found


def drawn(n, seed):
    """``n`` faults, as even over files and kinds as there are some: round after round one of each pair that has any.

    By a hash of each: a change elsewhere leaves most of them what they were.
    """
    every = [fault for file in FILES for fault in faults(file)]
    unknown = EQUIVALENT.keys() - {fault["key"] for fault in every}
    if unknown:
        raise ValueError(f"EQUIVALENT explains faults that there are not: {sorted(unknown)}")
    cells = {}
    for fault in sorted(every, key=lambda fault: hashlib.sha256(f"{seed} {fault['key']}".encode()).digest()):
        cells.setdefault((fault["file"], fault["kind"]), []).append(fault)
    rounds = (cell[i] for i in range(max(map(len, cells.values()))) for cell in cells.values() if i < len(cell))
    return [fault for fault, _ in zip(rounds, range(n), strict=False)]
