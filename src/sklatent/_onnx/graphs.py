"""Graphs that torch exports, as operators of skl2onnx, which knows scikit-learn's steps and puts them in a row."""

import contextlib
import logging
import warnings

import onnx
import torch
from onnx import TensorProto, helper
from onnx.compose import add_prefix
from skl2onnx._parse import _parse_sklearn
from skl2onnx.common._registration import register_converter, register_shape_calculator
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType
from sklearn.pipeline import Pipeline
from torch import nn

from .._bridge.state import Estimator
from .._outliers.densities import thawed, unwrap
from .._outliers.detector import DensityOutlierDetector
from .nets import codes, density, vote
from .verdicts import Verdicts, score

ALIAS = "SklatentModule"
TYPES = {
    TensorProto.FLOAT: FloatTensorType, TensorProto.DOUBLE: DoubleTensorType, TensorProto.INT64: Int64TensorType,
    TensorProto.STRING: StringTensorType,
}  # fmt: skip
OF_CLASSES = {"b": TensorProto.INT64, "i": TensorProto.INT64, "u": TensorProto.INT64, "f": TensorProto.DOUBLE}


class Said(nn.Module):
    """What methods of an estimator give, side by side."""

    def __init__(self, **modules):
        super().__init__()
        self.names, self.members = tuple(modules), nn.ModuleList(modules.values())

    def forward(self, x):
        return tuple(module(x) for module in self.members)


class Labels(nn.Module):
    """``predict``, as indices of classes, and ``predict_proba``."""

    names = ("predict", "predict_proba")

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        p = self.module(x)
        return p.argmax(1), p


def said_by(estimator, *, last):
    """The module of what an estimator says: at the end of a pipeline all that there is a graph of, else its codes."""
    if last and (module := vote(estimator)) is not None:
        return Labels(module)
    found = (
        {"transform": codes(estimator), "score_samples": density(estimator)} if last else {"codes": codes(estimator)}
    )
    found = {name: module for name, module in found.items() if module is not None}
    if not found:
        raise TypeError(
            f"{type(estimator).__name__} has no ONNX{'' if last else ' before the last step: it has no codes'}."
        )
    return Said(**found)


def plain(estimator):
    """What skl2onnx can read: without frozen estimators, searches, and steps that pass rows on, at which it crashes."""
    estimator = getattr(thawed(estimator), "best_estimator_", thawed(estimator))
    if not isinstance(estimator, Pipeline):
        return estimator
    steps = []
    for step in (plain(step) for _, step in estimator.steps if step is not None and step != "passthrough"):
        steps += [inner for _, inner in step.steps] if isinstance(step, Pipeline) else [step]
    return Pipeline([(f"step {i}", step) for i, step in enumerate(steps)])


# -- what skl2onnx asks for: what comes out, of which type, and by which nodes ------------------------------------


def parsers(last):
    """By type of estimator, what tells its outputs; ``last`` ends the pipeline."""

    def parse(scope, estimator, inputs, custom_parsers=None):
        if not isinstance(estimator, DensityOutlierDetector):
            return _declare(scope, estimator, said_by(estimator, last=estimator is last), inputs)
        densities, module = score(estimator._score_)
        inputs = [_scores_of(scope, one, inputs, custom_parsers) for one in densities]
        return _declare(scope, estimator, Verdicts(estimator, module, len(inputs)), inputs)

    return dict.fromkeys(_kinds(Estimator), parse)


def _kinds(kind):
    return {kind}.union(*map(_kinds, kind.__subclasses__()))


def _scores_of(scope, estimator, inputs, custom_parsers):
    """Of a density of a detector, behind the steps before it."""
    steps, last = unwrap(estimator)
    if (module := density(estimator)) is None:  # as a whole
        for _, step in steps:
            inputs = _parse_sklearn(scope, plain(step), inputs, custom_parsers=custom_parsers)
        module = density(last)
    if module is None:
        raise TypeError(
            f"{type(last).__name__}.score_samples has no ONNX. The densities of this library have, KernelDensity, "
            "GaussianMixture and PCA."
        )
    return _declare(scope, last, Said(log_density=module), inputs)[0]


def _declare(scope, estimator, module, inputs):
    operator = scope.declare_local_operator(ALIAS, estimator)
    operator.inputs.extend(inputs)
    operator.module_ = module.eval()
    for name in module.names:
        operator.outputs.append(scope.declare_local_variable(name, FloatTensorType([None, None])))
    return operator.outputs


def _shapes(operator):
    """Export: now it is known what comes in."""
    opset = operator.target_opset[""]
    operator.proto_ = proto = exported(operator.module_, _examples(operator), opset)
    for variable, output in zip(operator.outputs, proto.graph.output, strict=True):
        tensor = output.type.tensor_type
        variable.type = TYPES[tensor.elem_type]([None, *(size.dim_value or None for size in tensor.shape.dim[1:])])
    if isinstance(operator.module_, Labels):
        dtype = OF_CLASSES.get(operator.raw_operator.classes_.dtype.kind, TensorProto.STRING)
        operator.outputs[0].type = TYPES[dtype]([None])


def _examples(operator):
    if isinstance(operator.module_, Verdicts):
        return [torch.zeros(2, dtype=torch.float64) for _ in operator.inputs]
    wide = any(isinstance(each.type, DoubleTensorType | Int64TensorType) for each in operator.inputs)
    return [torch.zeros(2, operator.raw_operator.n_features_in_, dtype=torch.float64 if wide else torch.float32)]


def exported(module, examples, opset):
    """The graph that torch exports, for any number of rows."""
    n = torch.export.Dim("n", min=1)
    with _quiet():
        program = torch.onnx.export(
            module, tuple(examples), dynamo=True, opset_version=opset, verbose=False,
            dynamic_shapes=_shapes_of(module, n, len(examples)),
        )  # fmt: skip
    proto = program.model_proto
    return onnx.inliner.inline_local_functions(proto) if proto.functions else proto


def _shapes_of(module, n, n_examples):
    of_each = ({0: n},) * n_examples
    return (of_each,) if isinstance(module, Verdicts) else of_each  # those of *said are one


@contextlib.contextmanager
def _quiet():
    """Without what the exporter says of itself, and of torchvision in each call."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _convert(scope, operator, container):
    """Add the graph: skl2onnx's own way to do so would drop functions, and mistake what is left out for a name."""
    proto = add_prefix(operator.proto_, scope.get_unique_operator_name("sklatent") + "/")
    graph, inputs = proto.graph, [each.onnx_name for each in operator.inputs]

    def add(kind, names, output=None, **attributes):
        output = output or scope.get_unique_variable_name(kind.lower())
        name = scope.get_unique_operator_name(kind)
        container.nodes.append(helper.make_node(kind, names, [output], name=name, **attributes))
        return output

    if len(graph.input) < len(inputs):  # columns
        dtype = graph.input[0].type.tensor_type.elem_type
        inputs = [add("Concat", [add("Cast", [name], to=dtype) for name in inputs], axis=1)]
    for name, inner in zip(inputs, graph.input, strict=True):
        add("Identity", [name], inner.name)
    found = [each.name for each in graph.output]
    if isinstance(operator.module_, Labels):
        found[0] = add("Gather", [_classes(scope, operator, container), found[0]])
    for name, variable in zip(found, operator.outputs, strict=True):
        add("Identity", [name], variable.onnx_name)
    container.nodes.extend(_without_gaps(node) for node in graph.node)
    container.initializers.extend(graph.initializer)
    container.node_domain_version_pair_sets.update((each.domain, each.version) for each in proto.opset_import)


def _classes(scope, operator, container):
    """The name of a constant that holds the classes."""
    name, classes = scope.get_unique_variable_name("classes"), operator.raw_operator.classes_
    dtype = OF_CLASSES.get(classes.dtype.kind, TensorProto.STRING)
    values = [str(each) for each in classes] if dtype == TensorProto.STRING else classes.tolist()
    container.add_initializer(name, dtype, [len(classes)], values)
    return name


def _without_gaps(node):
    """A bound that is left out, which skl2onnx would look for."""
    if node.op_type == "Clip" and list(node.input)[1:2] == [""]:
        return helper.make_node("Min", [node.input[0], node.input[2]], node.output, name=node.name)
    return node


register_converter(ALIAS, _convert, overwrite=True)
register_shape_calculator(ALIAS, _shapes, overwrite=True)
