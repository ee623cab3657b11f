"""Tables of several kinds of columns: a real one beside levels, one net and one linear model for all."""

import pickle
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import trapezoid
from scipy.stats import logistic, norm
from torch.testing import assert_close

from sklatent import MADEDensity, VAETransformer
from sklatent._bridge import unsupervised
from sklatent._bridge.columns import level_widths
from sklatent._nn.likelihoods import AnchoredMixture, Gaussian, GaussianMixture
from sklatent._nn.mixed import Columns, MixedVAE, Rounded

RANDOM = np.random.RandomState(0)
Z = RANDOM.normal(size=300)
MIXED = np.column_stack(
    [
        2 * Z + 0.3 * RANDOM.normal(size=300) + 10,  # real
        np.where(Z + 0.5 * RANDOM.normal(size=300) > 0, 5, 2),  # two levels
        RANDOM.randint(0, 3, size=300) - 1,  # three
        np.clip(np.rint(40 + 20 * Z), 0, 99),  # many
    ]
)
KINDS = {MADEDensity: "gaussian_mixture", VAETransformer: "gaussian"}
quiet = pytest.mark.filterwarnings("ignore:The net does not beat", "ignore:The loss of rows kept apart still fell")
both = pytest.mark.parametrize("cls", list(KINDS), ids=lambda cls: cls.__name__)
pytestmark = quiet


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(unsupervised, "STEPS_OF_FEW", 100)


@pytest.fixture(scope="module")
def fitted():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unsupervised, "STEPS_OF_FEW", 100)
        return {
            MADEDensity: MADEDensity(random_state=0).fit(MIXED),
            VAETransformer: VAETransformer(2, random_state=0).fit(MIXED),
        }


# -- the likelihood ----------------------------------------------------------------------------------------------------


def columns():
    """A real column, two levels, five, one, as ``Columns`` in scaled units."""
    values = Columns(4)
    for name, value in {
        "shift": [1.0, 3.5, 2.0, 7.0], "scale": [2.0, 1.5, 1.4, 1.0], "lower": [-3.0, -1.0, -2 / 1.4, 0.0],
        "upper": [3.0, 1.0, 2 / 1.4, 0.0], "radius": [0.0, 1.0, 0.5 / 1.4, 0.5],
        "first": [-1e15, -1.0, -2 / 1.4, 0.0], "last": [1e15, 1.0, 2 / 1.4, 0.0],
    }.items():  # fmt: skip
        getattr(values, name).copy_(torch.tensor(value, dtype=torch.float64))
    return values


LIKELIHOODS = [Gaussian(), GaussianMixture(3), AnchoredMixture(2)]
every = pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=lambda each: type(each).__name__)


@every
def test_each_column_sums_or_integrates_to_one(likelihood):
    values, rounded = columns(), Rounded(likelihood)
    params = torch.randn(6, 4, rounded.n_params, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    grid = torch.linspace(-80, 80, 20_001, dtype=torch.float64)
    for column, rows in enumerate([grid, [2.0, 5.0], [0.0, 1.0, 2.0, 3.0, 4.0], [7.0]]):
        x = torch.zeros(len(rows), 4, dtype=torch.float64)
        x[:, column] = torch.as_tensor(rows)
        u, beyond = (part[:, column] for part in values(x))
        p = rounded.log_prob(params[:, None, column], u, beyond, values.limits()[:, column].unsqueeze(1)).exp()
        total = p.sum(1) if column else torch.trapezoid(p, u)
        assert_close(total, torch.ones(6, dtype=torch.float64), atol=1e-6, rtol=0)
        assert (beyond == 0).all()
    assert_close(values.log_width(), torch.tensor([np.log(2), 0, 0, 0], dtype=torch.float64))


def test_levels_are_a_rounded_logistic():
    params = torch.tensor([0.4, 0.1], dtype=torch.float64)
    rounded, limits = Rounded(Gaussian()), columns().limits()[:, 2]
    _, mean, variance = Gaussian().components(params)
    edges = [-np.inf, *((np.arange(4) - 1.5) / 1.4), np.inf]
    expected = np.diff(logistic(float(mean), np.sqrt(3 * float(variance)) / np.pi).cdf(edges))
    u = (torch.arange(5, dtype=torch.float64) - 2) / 1.4
    log_p = rounded.log_prob(params, u, torch.zeros(5), limits)
    assert_allclose(log_p.exp(), expected, rtol=1e-9)
    drawn = rounded.draw(params.expand(50_000, -1), torch.Generator().manual_seed(0), limits)
    share = [(drawn - level).abs().lt(1e-9).double().mean().item() for level in u]
    assert_allclose(share, expected, atol=0.007)


@every
def test_counts_sum_to_one_over_all_whole_numbers_from_zero(likelihood):
    values, rounded = columns(), Rounded(likelihood)
    values.first[2], values.last[2] = -2 / 1.4, 1e15  # of the feature whose levels were 0 to 4 in fit
    params = torch.randn(6, 1, rounded.n_params, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.zeros(400, 4, dtype=torch.float64)
    x[:, 2] = torch.arange(400)
    u, beyond = (part[:, 2] for part in values(x))
    p = rounded.log_prob(params, u, beyond, values.limits()[:, 2].unsqueeze(1)).exp()
    assert_close(p.sum(1), torch.ones(6, dtype=torch.float64))
    assert (beyond == 0).all()
    assert (p[:, 50:].diff(dim=1) <= 0).all()
    if type(likelihood) is Gaussian:
        everywhere = params.expand(-1, 4, -1)
        means = 2 + 1.4 * rounded.mean(everywhere, values.limits())[:, 2]
        assert_close(means, (p * torch.arange(400)).sum(1), atol=0.02, rtol=0)


def test_the_mean_of_levels_is_what_draws_have():
    rounded, limits = Rounded(GaussianMixture(2)), columns().limits()
    params = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with pytest.raises(AttributeError, match="mean"):
        rounded.mean(params, limits)  # a mixture of real values has none to decode to
    rounded, params = Rounded(Gaussian()), params[:, :2]
    drawn = rounded.draw(params.expand(20_000, -1, -1), torch.Generator().manual_seed(0), limits)
    assert_allclose(rounded.mean(params, limits), drawn.mean(0), atol=0.05)


@every
def test_off_the_levels_is_below_all_of_them_and_falls(likelihood):
    values, rounded = columns(), Rounded(likelihood)
    params = 3 * torch.randn(50, 4, rounded.n_params, generator=torch.Generator().manual_seed(0))
    for column, inside, beyond in [(1, [2, 5], [3, -10, 1e4, 1e9]), (2, [0, 1, 2, 3, 4], [5, 9, -1e4, 1e12])]:
        x = torch.zeros(len(inside) + len(beyond), 4, dtype=torch.float64)
        x[:, column] = torch.tensor([*inside, *beyond])
        u, off = (part[:, column].float() for part in values(x))
        log_p = rounded.log_prob(params[:, None, column], u, off, values.limits()[:, column].unsqueeze(1))
        log_p, outside = log_p.split([len(inside), len(beyond)], 1)
        assert outside.isfinite().all()
        assert (outside[:, 0] < log_p.amin(1)).all()
        assert (outside.diff(dim=1) < 0).all()


@every
def test_the_gradient_is_the_slope(likelihood):
    values, rounded = columns(), Rounded(likelihood)
    params = torch.randn(3, 4, rounded.n_params, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u, beyond = values(torch.tensor([[1.7, 2.0, 0.0, 7.0], [9.0, 5.0, 4.0, 7.0], [0.0, 3.0, 2.0, 8.0]]).double())
    slopes = torch.autograd.gradcheck(
        lambda p: rounded.log_prob(p, u, beyond, values.limits()), params.requires_grad_()
    )
    assert slopes


# -- the densities -----------------------------------------------------------------------------------------------------


def test_made_is_a_mixed_density():
    """All rows that can be, the real column by quadrature, in float64."""
    made = MADEDensity(order="random", random_state=1, max_iter=2).fit(MIXED[:, :3])
    module = made._module.double()
    grid = np.linspace(-30, 50, 4001)
    total = 0
    for levels in product((2, 5), (-1, 0, 1)):
        rows = np.column_stack([grid, np.tile(levels, (len(grid), 1))])
        with torch.no_grad():
            total += trapezoid(module.log_prob(torch.from_numpy(rows)).exp(), grid)
    assert_allclose(total, 1, atol=1e-5)


def test_the_bound_of_a_vae_is_below_the_integral(fitted):
    """log p(x) of the net by quadrature over two codes, and of the linear model, of which a fiftieth is."""
    vae = fitted[VAETransformer]
    module, rows = vae._module, torch.from_numpy(MIXED[:20])
    side = torch.linspace(-6, 6, 161)
    z = torch.cartesian_prod(side, side)
    log_prior = torch.from_numpy(norm.logpdf(z.numpy()).sum(1)) + 2 * np.log(12 / 160)
    u = module._scaled(rows)
    values, beyond = module.scaling.nearest(u)
    exact = []
    with torch.no_grad():
        for decoder in (module.decoder, module.decoder.linear):
            params = module._params(z, decoder).unsqueeze(1)
            log_p = module.likelihood.log_prob(params, values, beyond, module._limits()).sum(-1).double()
            exact.append((log_p - module._log_unit() + log_prior.unsqueeze(1)).logsumexp(0))
    exact = torch.logaddexp(exact[0] + np.log(0.98), exact[1] + np.log(0.02)).numpy()
    vae.set_params(n_draws=500)
    gap = exact - vae.score_samples(MIXED[:20])
    vae.set_params(n_draws=50)
    assert gap.mean() > -0.02
    assert gap.mean() < 0.15
    assert (np.abs(gap) < 1).all()


@both
def test_units_of_real_columns_are_paid_for_and_names_of_levels_are_free(cls, fitted):
    X = MIXED * [1000, 1, 1, 1] + [0, 7, 4, 0]
    X[:, 1] = np.where(MIXED[:, 1] == 5, 1, 0)
    other = cls(**fitted[cls].get_params()).fit(X)
    assert_allclose(other.score(X), fitted[cls].score(MIXED) - np.log(1000), atol=2e-3)


@both
def test_samples_have_the_kinds_of_their_columns(cls, fitted):
    drawn = fitted[cls].sample(2000, random_state=0)
    assert set(drawn[:, 1]) == {2, 5}
    assert set(drawn[:, 2]) == {-1, 0, 1}
    assert_array_equal(drawn[:, 3], np.rint(drawn[:, 3]))
    assert drawn[:, 3].min() >= 0
    assert drawn[:, 3].max() > 99  # the largest count in fit is not the largest that there is
    assert len(set(drawn[:, 0])) == 2000
    assert_allclose(drawn.mean(axis=0), MIXED.mean(axis=0), atol=0.25 * MIXED.std(axis=0).max())
    assert np.corrcoef(drawn[:, :2].T)[0, 1] > 0.6


@both
def test_it_learns_what_a_product_of_marginals_misses(cls, fitted):
    """The real column tells the two levels: .70 correlation, and so some .35 nats; and the count most of all."""
    shuffled = np.column_stack([RANDOM.permutation(column) for column in MIXED.T])
    assert fitted[cls].score(MIXED) > fitted[cls].score(shuffled) + 3
    only = MIXED.copy()
    only[:, 1] = 7 - only[:, 1]
    assert fitted[cls].score(MIXED) > fitted[cls].score(only) + 0.7


def test_completions_are_levels(fitted):
    X = MIXED[:200].copy()
    X[:, 1] = X[:, 3] = np.nan
    filled = fitted[MADEDensity].complete(X, random_state=0)
    assert_array_equal(filled[:, [0, 2]], X[:, [0, 2]])
    assert set(filled[:, 1]) == {2, 5}
    assert (filled[:, 1] == MIXED[:200, 1]).mean() > 0.7
    assert np.corrcoef(filled[:, 3], MIXED[:200, 3])[0, 1] > 0.8


@both
def test_pickles(cls, fitted):
    again = pickle.loads(pickle.dumps(fitted[cls]))
    assert_array_equal(again.score_samples(MIXED), fitted[cls].score_samples(MIXED))
    assert again.likelihood_ == fitted[cls].likelihood_


def test_several_orders_and_nets_without_a_start():
    made = MADEDensity(order="random", n_masks=2, hidden_layer_sizes=(16,), max_iter=3, random_state=0).fit(MIXED)
    vae = VAETransformer(2, corruption="swap", hidden_layer_sizes=(16,), max_iter=3, random_state=0).fit(MIXED)
    assert type(vae._module) is MixedVAE
    for model in (made, vae):
        assert set(model.sample(100, random_state=0)[:, 1]) == {2, 5}
        far = np.tile(MIXED[:1], (4, 1)) + np.outer([0, 100, 200, 400], [1, 0, 0, 0])
        assert (np.diff(model.score_samples(far)) < 0).all()


# -- which kind a column is --------------------------------------------------------------------------------------------


@both
def test_the_kinds_that_are_found(cls, fitted):
    three = "categorical" if cls is MADEDensity else "logistic_mixture"
    assert fitted[cls].likelihood_ == [KINDS[cls], "bernoulli", three, "logistic_mixture"]
    assert_array_equal(level_widths(MIXED), [0, 3, 1, 1])
    assert_array_equal(level_widths(np.array([[0, 0.0, 5, np.nan], [300, 1e6, 5, 1], [2, 1e6, 5, 0]])), [0, 1e6, 1, 1])


@both
def test_a_table_of_one_kind_is_what_it_was(cls):
    """Real values, with a constant beside them; images; and, of MADE, few levels: to the bit."""
    real = np.column_stack([MIXED[:, 0], MIXED[:, 0] ** 2, np.zeros(300)])
    few = MIXED[:, [2, 2]] + [1, 0]
    for X, name, shape in [(real, KINDS[cls], None), (MIXED[:, [3, 3]], None, (1, 2)), (few, "categorical", None)]:
        if name == "categorical" and cls is VAETransformer:
            continue
        name = name or {MADEDensity: "categorical", VAETransformer: "gaussian"}[cls]
        auto, named = (
            cls(likelihood=likelihood, image_shape=shape, max_iter=1, random_state=0).fit(X)
            for likelihood in ("auto", name)
        )
        assert auto.likelihood_ == name
        assert type(auto._module) is type(named._module) is not MixedVAE
        for one, other in zip(auto._module.state_dict().values(), named._module.state_dict().values(), strict=True):
            assert torch.equal(one, other)


def test_vae_of_a_table_of_levels_is_of_levels():
    vae = VAETransformer(1, max_iter=1, random_state=0).fit(MIXED[:, 1:])
    assert vae.likelihood_ == ["bernoulli", "logistic_mixture", "logistic_mixture"]
    assert type(vae._module) is MixedVAE


@both
def test_a_list_or_a_dict_decides(cls):
    real = KINDS[cls]
    listed = [real, "auto", real, "logistic_mixture"]
    frame = pd.DataFrame(MIXED, columns=list("abcd"))
    expected = [real, "bernoulli", real, "logistic_mixture"]
    for X, likelihood in [(MIXED, listed), (MIXED, {2: real}), (frame, {"c": real}), (frame, {np.int64(2): real})]:
        assert cls(likelihood=likelihood, max_iter=1).fit(X).likelihood_ == expected
    assert cls(likelihood=[real] * 4, max_iter=1).fit(MIXED).likelihood_ == real


@pytest.mark.parametrize(
    ("likelihood", "message"),
    [
        (["auto"], "lists 1 names, but X has 4 features"),
        ({"e": "auto"}, "names the feature 'e', but X has no such one. Pass indices from 0 to 3, or column names"),
        ({4: "auto"}, "names the feature 4, but X has no such one"),
        ({"c": "poisson"}, "asks for 'poisson' of feature 'c'. A column of a table is one of 'auto', 'gaussian"),
        ({"a": "bernoulli"}, "asks for 'bernoulli' of feature 'a', which needs whole numbers, of at most 2 levels"),
        ({"a": "logistic_mixture"}, "'logistic_mixture' of feature 'a', which needs whole numbers, of at most 256"),
        ({"c": "bernoulli"}, "asks for 'bernoulli' of feature 'c', which needs whole numbers, of at most 2 levels"),
    ],
)
@both
def test_names_that_do_not_fit(cls, likelihood, message):
    with pytest.raises(ValueError, match=message):
        cls(likelihood=likelihood, max_iter=1).fit(pd.DataFrame(MIXED, columns=list("abcd")))


def test_categorical_columns_have_few_levels():
    with pytest.raises(ValueError, match="'categorical' of feature 3, which needs whole numbers, of at most 16 levels"):
        MADEDensity(likelihood={3: "categorical"}, max_iter=1).fit(MIXED)
    with pytest.raises(ValueError, match="'categorical' of feature 2. A column of a table is one of 'auto', 'gaussian"):
        VAETransformer(likelihood={2: "categorical"}, max_iter=1).fit(MIXED)


@both
def test_pixels_share_one_name(cls):
    with pytest.raises(ValueError, match="is for tables: with image_shape all pixels share one name"):
        cls(likelihood=["auto"] * 4, image_shape=(2, 2), max_iter=1).fit(MIXED)


@both
def test_a_value_that_is_not_whole_in_a_column_of_levels_is_refused(cls, fitted):
    X = MIXED[:5].copy()
    X[:, 0] += 0.5
    fitted[cls].score_samples(X)  # the real one may hold what it likes
    X[3, 2] = 0.25
    with pytest.raises(ValueError, match="Feature 2 was whole numbers in the fit of this .*but X holds 0.25 there"):
        fitted[cls].score_samples(X)


@both
def test_levels_that_fit_did_not_see_score_below_all_that_it_saw(cls, fitted):
    """A third level in a column of two, a category that is new, a count beyond the range; all are encoded."""
    row, model = MIXED[0], fitted[cls]
    for column, seen, new in [(1, [2, 5], [8, 9, 900]), (1, [2, 5], [3]), (2, [-1, 0, 1], [2, 5, 5000])]:
        rows = np.tile(row, (len(seen) + len(new), 1))
        rows[:, column] = [*seen, *new]
        inside, outside = np.split(model.score_samples(rows), [len(seen)])
        assert np.isfinite(outside).all()
        assert outside[0] < inside.min()
        assert (np.diff(outside) < 0).all()
    if cls is VAETransformer:
        assert np.isfinite(model.transform(rows)).all()


@both
def test_holes_beside_levels(cls, fitted):
    """What is seen is trained on and scored; by the whole rows of a fit with holes the score is near that without."""
    X = MIXED.copy()
    X[RANDOM.rand(*X.shape) < 0.15] = np.nan
    model = cls(**fitted[cls].get_params()).fit(X)
    assert model.likelihood_ == fitted[cls].likelihood_
    assert np.isfinite(model.score_samples(X)).all()
    assert model.score(MIXED) > fitted[cls].score(MIXED) - 1.5
    filled = model.complete(X)
    assert np.isfinite(filled).all()
    assert_array_equal(filled[~np.isnan(X)], X[~np.isnan(X)])
