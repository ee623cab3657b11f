"""What scikit-learn's diagram of an estimator, in a notebook, shows of those that are fitted: nets and members.

Blocks of the diagram are private in scikit-learn and have moved before, so they are asked for when a diagram is drawn:
without them it has the estimator alone.
"""

from torch import nn

SAME_LEVEL = (nn.ModuleList, nn.Sequential)  # their parts have numbers for names, and say nothing by themselves


def net_block(module):
    """The parts of a net that have weights one below the other, with how many, and their layers at a click."""
    from sklearn.pipeline import _VisualBlock

    parts, blocks = parts_of(module), []
    for name, part in parts.items():
        name = name if len(parts) > 1 else type(part).__name__
        texts = {"name_details": repr(part), "name_caption": f"{n_weights(part):,} weights"}
        blocks.append(_VisualBlock("single", part, names=name, **texts))
    return _VisualBlock("serial", blocks, dash_wrapped=False)


def parts_of(module):
    """By name; where one part has all the weights, the parts of that."""
    parts = {name: part for name, part in module.named_children() if n_weights(part)}
    while len(parts) == 1 and not isinstance(module := next(iter(parts.values())), SAME_LEVEL):
        deeper = {name: part for name, part in module.named_children() if n_weights(part)}
        if sum(map(n_weights, deeper.values())) < n_weights(module):
            break  # it has some of its own
        parts = deeper
    return parts


def n_weights(module):
    return sum(weights.numel() for weights in module.parameters())


def members_block(members):
    """Estimators side by side, by name."""
    from sklearn.pipeline import _VisualBlock

    kinds = [type(member).__name__ for member in members.values()]
    names = [name if kind.startswith("_") else f"{name}: {kind}" for name, kind in zip(members, kinds, strict=True)]
    return _VisualBlock("parallel", list(members.values()), names=names, name_details=list(map(str, members.values())))
