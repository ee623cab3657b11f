"""What a notebook shows: scikit-learn's diagram with nets and members, links to the pages, one line for the rest."""

import re

import numpy as np
import pytest
from common import ESTIMATORS
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklatent
from sklatent import AutoencoderTransformer, DensityOutlierDetector, MADEDensity, PixelCNNDensity
from sklatent._bridge.diagram import n_weights, parts_of

X = np.random.RandomState(0).normal(size=(40, 6))


def shown(estimator):
    """Names of the boxes with their captions, as in "encoder: 47 weights"."""
    boxes = re.findall(r'<div><div>([^<]*)</div><div class="caption">([^<]*)</div>', estimator._repr_html_())
    return [f"{name}: {caption}" for name, caption in boxes]


@pytest.fixture(scope="module")
def autoencoder():
    return AutoencoderTransformer(2, hidden_layer_sizes=(5,), max_iter=1, random_state=0).fit(X)


def test_a_fitted_net_is_drawn_with_its_layers(autoencoder):
    n_encoder, n_decoder = 6 * 5 + 5 + 5 * 2 + 2, 2 * 5 + 5 + 5 * 6 + 6
    expected = [f"encoder: {n_encoder} weights", f"decoder: {n_decoder} weights"]
    assert shown(autoencoder) == expected
    assert "Linear(in_features=6, out_features=5, bias=True)" in autoencoder._repr_html_()
    pipeline = make_pipeline(StandardScaler(), autoencoder)
    assert shown(pipeline) == expected
    assert shown(AutoencoderTransformer()) == []


@pytest.mark.parametrize("model", [MADEDensity(max_iter=1), PixelCNNDensity(n_filters=2, n_blocks=1, max_iter=1)])
def test_no_weight_is_left_out(model):
    module = model.fit((X > 0).astype(np.uint8)).net_.module_
    assert sum(map(n_weights, parts_of(module).values())) == n_weights(module) > 0


def test_members_of_a_detector_are_drawn(autoencoder):
    pair = [("mixture", GaussianMixture()), ("codes", AutoencoderTransformer(2, max_iter=1))]
    detector = DensityOutlierDetector(pair, random_state=0)
    before, after = detector._repr_html_(), detector.fit(np.vstack([X] * 3) + 1e-3)._repr_html_()
    assert "mixture: GaussianMixture" in before
    assert "codes: AutoencoderTransformer" in before
    assert "mixture (1 of 5 folds): GaussianMixture" in after
    assert [box.split(":")[0] for box in shown(detector)] == ["encoder", "decoder"]
    pool = DensityOutlierDetector(random_state=0).fit(X)._repr_html_()
    assert "rows: NeighborsDensity" in pool


@pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
def test_the_question_mark_leads_to_the_page(cls):
    page = f"https://sklatent.github.io/sklatent/api/sklatent.{cls.__name__}.html"
    assert page in cls()._repr_html_()


def test_what_has_no_page_has_no_link():
    class Mine(MADEDensity):
        """A user's."""

    assert sklatent._Pool([])._get_doc_link() == Mine()._get_doc_link() == ""


def test_one_line_says_what_was_asked_for(autoencoder):
    asked = "AutoencoderTransformer(hidden_layer_sizes=(5,), max_iter=1, n_components=2,\n"
    assert repr(autoencoder) == asked + "                       random_state=0)"
    assert repr(DensityOutlierDetector()) == "DensityOutlierDetector()"
    assert len(repr(AutoencoderTransformer(hidden_layer_sizes=tuple(range(1000)), architecture=shown))) < 800


def test_help_of_the_package_says_where_all_is():
    for name in [*sklatent.__all__, "sklatent.onnx"]:
        assert name in sklatent.__doc__
