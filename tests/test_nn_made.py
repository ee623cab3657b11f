"""MADE, FVBN and mixtures of orders, against numbers known by other means."""

import math
from functools import partial

import pytest
import torch
from common_nn import (
    check_frequencies_of_samples,
    check_order_of_dependence,
    check_samples_repeat,
    check_slope,
    every_row,
    random_core,
    random_values,
    take_steps,
    train,
)
from sklearn.linear_model import LogisticRegression
from torch.testing import assert_close

from sklatent._nn.autoregressive import AutoregressiveModel
from sklatent._nn.likelihoods import (
    AnchoredMixture,
    Bernoulli,
    Categorical,
    DiscretizedLogisticMixture,
    GaussianMixture,
)
from sklatent._nn.made import FAR, LEAST, MADE, MixtureOfOrders, StartedMADE, _level_table, columns_of_levels
from sklatent._nn.scaling import Levels, Reals

ONE = torch.tensor(1.0, dtype=torch.float64)
HIDDEN = [(), (9,), (7, 8)]


def random_model(n_features, hidden_layer_sizes, likelihood, n_levels, **parameters):
    core = random_core(MADE, n_features, hidden_layer_sizes, likelihood.n_params, n_levels=n_levels, **parameters)
    levels = Reals(n_features) if n_levels is None else Levels(n_features, n_levels, whole=True)
    model = AutoregressiveModel if len(core.orders) == 1 else MixtureOfOrders
    return model(levels, core, likelihood).eval()


@pytest.mark.parametrize("n_masks", [1, 4])
@pytest.mark.parametrize("order", ["natural", "random"])
@pytest.mark.parametrize("hidden_layer_sizes", HIDDEN)
@pytest.mark.parametrize(
    ("likelihood", "n_levels", "n_features"),
    [
        (Bernoulli(), 2, 9),
        (Bernoulli(), 2, 1),
        (Categorical(3), 3, 5),
        (Categorical(40), 40, 2),
        (DiscretizedLogisticMixture(4, 2), 4, 5),
    ],
)
def test_all_rows_sum_to_one(likelihood, n_levels, n_features, hidden_layer_sizes, order, n_masks):
    model = random_model(n_features, hidden_layer_sizes, likelihood, n_levels, order=order, n_masks=n_masks)
    every = every_row(n_features, n_levels)
    log_p = model.log_prob(every)
    assert log_p.std() > 0.01
    assert_close(log_p.exp().sum(), ONE, atol=1e-6, rtol=0)
    assert_close(model(every), -log_p)
    assert_close(model.log_prob_map(every).sum(1), log_p)


@pytest.mark.parametrize("n_masks", [1, 2])
def test_real_values_integrate_to_one_in_the_units_of_the_rows(n_masks):
    model = random_model(2, (6,), GaussianMixture(2), None, order="random", n_masks=n_masks)
    for parameter in model.core.parameters():
        parameter.data.mul_(0.4)
    model.levels.shift.fill_(3.0)
    model.levels.scale.fill_(0.5)
    axis = torch.linspace(-7, 13, 501, dtype=torch.float64)
    p = model.log_prob(torch.cartesian_prod(axis, axis)).exp().reshape(501, 501)
    assert_close(torch.trapezoid(torch.trapezoid(p, axis), axis), ONE, atol=1e-4, rtol=0)


@pytest.mark.parametrize("order", ["natural", "random"])
@pytest.mark.parametrize("hidden_layer_sizes", [*HIDDEN, (30, 3, 30)])
@pytest.mark.parametrize("n_levels", [2, 5, None])
def test_parameters_depend_on_all_that_comes_before_and_on_nothing_else(n_levels, hidden_layer_sizes, order):
    core = random_core(MADE, 7, hidden_layer_sizes, 3, n_levels=n_levels, order=order, n_masks=2)
    values = random_values(20, 7, n_levels)
    for which, features in enumerate(core.orders):
        check_order_of_dependence(partial(core, which=which), values, features, n_levels)


def test_hidden_layers_alone_see_all_that_comes_before():
    core = random_core(MADE, 7, (6, 12), 1, n_levels=2, direct=False)
    seen = torch.autograd.functional.jacobian(lambda table: core_of_table(core, table), torch.zeros(7).double())
    assert torch.equal(seen != 0, torch.ones(7, 7).tril(-1).bool())


def core_of_table(core, x):
    """The parameters as a function of continuous inputs, kept away from the kinks of relu by an average."""
    h = x + torch.randn(500, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for layer in core.hidden:
        h = layer(h).relu()
    return core.out(h).mean(0)


@pytest.mark.parametrize("n_levels", [2, 5, 8, 30])
def test_what_the_network_sees_of_a_level(n_levels):
    table = _level_table(n_levels).double()
    assert table.shape == (n_levels, columns_of_levels(n_levels))
    if n_levels == 2:
        assert table.tolist() == [[0], [1]]
        return
    n_knots = min(n_levels, 8)
    place, code = torch.linspace(-1, 1, n_levels, dtype=torch.float64), table[:, 1:]
    assert_close(table[:, 0], place, atol=1e-6, rtol=0)
    assert_close(code.sum(1), ONE.expand(n_levels), atol=1e-6, rtol=0)
    assert_close(code @ torch.linspace(-1, 1, n_knots, dtype=torch.float64), place, atol=1e-6, rtol=0)
    assert ((code > 0).sum(1) <= 2).all()
    assert n_levels > 8 or torch.equal(code, torch.eye(n_levels).double())


def test_orders_are_what_they_are_called():
    assert MADE(4, (3,), 1, n_masks=2).orders == [[0, 1, 2, 3]] * 2
    a, b = (MADE(30, (3,), 1, order="random", n_masks=2, seed=seed) for seed in (0, 1))
    assert all(sorted(order) == list(range(30)) for order in a.orders)
    assert len({tuple(order) for order in a.orders + b.orders}) == 4
    assert a.orders == MADE(30, (3,), 1, order="random", n_masks=2, seed=0).orders


def test_masks_are_no_state_and_weights_stay_as_trained():
    core = MADE(6, (5,), 1, n_levels=2, order="random", n_masks=3)
    assert set(core.state_dict()) == {"hidden.0.weight", "hidden.0.bias", "out.weight", "out.bias", "direct.weight"}
    before = {name: weight.clone() for name, weight in core.state_dict().items()}
    core(random_values(3, 6, 2), 2)
    assert all(torch.equal(before[name], weight) for name, weight in core.state_dict().items())


@pytest.mark.parametrize("order", ["natural", "random"])
def test_fvbn_equals_chained_logistic_regressions(order):
    model = random_model(8, (), Bernoulli(), 2, order=order)
    x = random_values(50, 8, 2).double()
    weight, bias, features = model.core.out.weight, model.core.out.bias, model.core.order
    log_p = torch.zeros(50, 8, dtype=torch.float64)
    for position, i in enumerate(features):
        past = features[:position]
        p = 1 / (1 + (-(x[:, past] @ weight[i, past] + bias[i])).exp())
        log_p[:, i] = (x[:, i] * p + (1 - x[:, i]) * (1 - p)).log()
    assert_close(model.log_prob_map(x), log_p, atol=1e-6, rtol=0)


def chain(n, n_features=6):
    """Binary rows in which a feature repeats the one before it with probability 0.8."""
    generator = torch.Generator().manual_seed(0)
    change = torch.rand(n, n_features, generator=generator) < torch.tensor([0.5] + [0.2] * (n_features - 1))
    return (change.cumsum(1) % 2).double()


def minimise(model, x):
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=500, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        total = model(x).mean() + sum(p.square().sum() for n, p in model.named_parameters() if "weight" in n) / 600
        total.backward()
        return total

    optimizer.step(loss)


def test_a_trained_fvbn_is_sklearns_logistic_regressions():
    x = chain(300)
    model = AutoregressiveModel(Levels(6, 2, whole=True), MADE(6, (), 1, n_levels=2), Bernoulli()).double()
    minimise(model, x)
    for i in range(1, 6):
        theirs = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(x[:, :i], x[:, i])  # same penalty: n C = 300
        assert_close(model.core.out.weight[i, :i], torch.tensor(theirs.coef_[0]), atol=1e-3, rtol=1e-3)
        log_p = torch.tensor(theirs.predict_log_proba(x[:, :i])).gather(1, x[:, i : i + 1].long())
        assert_close(model.log_prob_map(x)[:, i], log_p[:, 0], atol=1e-3, rtol=0)


@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize("order", ["natural", "random"])
@pytest.mark.parametrize("hidden_layer_sizes", [*HIDDEN, (3,), (40, 2, 11)])
@pytest.mark.parametrize("parameters", [{"n_levels": 2}, {"n_levels": 5, "input_dropout": 0.5}, {"direct": False}])
def test_cached_steps_equal_the_full_pass(parameters, hidden_layer_sizes, order, n):
    core = random_core(MADE, 12, hidden_layer_sizes, 3, order=order, n_masks=2, **parameters)
    values = random_values(n, 12, parameters.get("n_levels"))
    for which, features in enumerate(core.orders):
        steps = take_steps(core.steps(n, which), features, values)
        assert_close(steps, core(values, which)[:, features], atol=1e-9, rtol=1e-9)


def test_steps_know_no_dropout():
    core = random_core(MADE, 6, (8,), 1, n_levels=2, input_dropout=0.5).train()
    first, second = ([next(core.steps(3)), core.steps(3)] for _ in range(2))
    assert torch.equal(first[0], second[0])
    values = random_values(3, 6, 2)
    assert not torch.equal(core(values), core(values))
    assert_close(take_steps(core.steps(3), core.order, values), core.eval()(values))


@pytest.mark.parametrize("n_levels", [2, None])
def test_features_are_the_hidden_units(n_levels):
    model = random_model(5, (7, 8), Bernoulli(), n_levels, direct=False)
    x = random_values(20, 5, n_levels).double()
    if n_levels is None:
        model.levels.shift.fill_(0.3)
        model.levels.scale.fill_(2.0)
    units = model.levels(x)[0].double()
    for number, layer in enumerate(model.core.hidden):
        mask = layer.in_degrees[0] <= layer.out_degrees[0].unsqueeze(1)
        units = (units @ (layer.weight * mask).T + layer.bias).clamp(min=0)
        assert_close(model.features(x, number), units)
    assert model.core.n_layers == 2
    assert_close(model.core.out(model.features(x, -1)).unsqueeze(2), model.core(model.levels(x)[0]))


def test_features_of_several_masks_are_the_mean_and_no_input_is_hidden():
    model = random_model(5, (7,), Bernoulli(), 2, order="random", n_masks=3, input_dropout=0.5, direct=False)
    x = random_values(20, 5, 2).double()
    assert_close(model.features(x, 0), model.train().features(x, 0), atol=0, rtol=0)
    model.eval().core.out.weight.data.fill_(1.0)
    model.core.out.bias.data.zero_()
    model.core.out.in_degrees = torch.zeros_like(
        model.core.out.in_degrees
    )  # nothing masked: each output is the sum of the units
    sums = torch.stack([model.core(x.long(), which)[:, 0, 0] for which in range(3)])
    assert sums.std(0).max() > 0.1
    assert_close(model.features(x, 0).sum(1), sums.mean(0))


def test_a_belief_network_has_no_hidden_layer_to_give():
    model = random_model(5, (), Bernoulli(), 2)
    assert model.core.n_layers == 0
    with pytest.raises(IndexError):
        model.features(torch.zeros(1, 5), 0)


@pytest.mark.parametrize(("share", "low", "high"), [(0.25, 0.0, 0.5), (0.75, 0.5, 1.0)])
def test_input_dropout_hides_that_share_of_the_inputs(share, low, high):
    core = MADE(2000, (), 1, input_dropout=share)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        hidden = 1 - core._hide(torch.ones(1000, 2000, 2)).mean((1, 2))
    assert_close(hidden.mean(), torch.tensor(share), atol=0.01, rtol=0)
    assert low - 0.05 < hidden.min() < low + 0.05
    assert high - 0.05 < hidden.max() < high + 0.05


@pytest.mark.parametrize("n_masks", [1, 3])
def test_samples_have_the_models_probabilities(n_masks):
    check_frequencies_of_samples(random_model(4, (6,), Bernoulli(), 2, order="random", n_masks=n_masks))


@pytest.mark.parametrize(("likelihood", "n_levels"), [(Categorical(3), 3), (GaussianMixture(2), None)])
@pytest.mark.parametrize("n_masks", [1, 3])
def test_samples_repeat_and_leave_the_global_generator_alone(likelihood, n_levels, n_masks):
    model = random_model(5, (6,), likelihood, n_levels, n_masks=n_masks)
    assert check_samples_repeat(model, 7).isfinite().all()


def test_a_mixture_is_the_mean_of_its_members():
    model = random_model(5, (6,), Bernoulli(), 2, order="random", n_masks=3)
    x = every_row(5, 2)
    members = torch.stack([member.log_prob(x) for member in model._members()])
    assert members.std(0).min() > 0.01
    assert_close(model.log_prob(x), members.exp().mean(0).log())


@pytest.mark.parametrize("n_masks", [1, 3])
@pytest.mark.parametrize(("likelihood", "n_levels"), [(Categorical(3), 3), (GaussianMixture(2), None)])
def test_gradients_are_slopes(likelihood, n_levels, n_masks):
    model = random_model(5, (6, 7), likelihood, n_levels, order="random", n_masks=n_masks)
    x = random_values(4, 5, n_levels).double()
    check_slope(model, lambda: model(x).sum())


def random_start(order, n_components=2, n_copies=2):
    """A started MADE with random weights and buffers; the regressions see what comes before, in the order."""
    torch.manual_seed(0)
    core = StartedMADE(4, (6,), n_components, n_copies, order=order).double()
    for tensor in (*core.parameters(), core.log_weight, core.constant, core.log_sd, core.offset, core.scale):
        tensor.data.normal_(std=0.5)
    before = torch.tensor([[core.order.index(j) < core.order.index(i) for j in range(4)] for i in range(4)])
    core.regression.copy_(torch.randn(12, 4) * before.repeat_interleave(3, 0))
    core.chain.weight.data.mul_(before.repeat_interleave(2, 0))
    return core


@pytest.mark.parametrize("order", ["natural", "random"])
def test_a_started_made_is_its_formula(order):
    """Feature by feature: weights by what came before, means by two chains, and the anchor."""
    core, x = random_start(order), 2 * torch.randn(5, 4, dtype=torch.float64)
    found = core(x).detach()
    net = super(StartedMADE, core).forward(x).detach()
    log_weight = core.log_weight.expand(5, -1)
    least = 0.0
    for i in core.order:
        regression = x @ core.regression[3 * i : 3 * i + 3].T + core.constant[i]
        weight, mean, log_sd = (core.offset[i] + core.scale[i] * net[:, i]).chunk(3, 1)
        below = log_weight - log_weight.amax(1, keepdim=True)
        least = min(least, below.min().item())
        weight = weight + below.clamp(min=-6).repeat_interleave(2, 1)
        mean = mean + (x @ core.chain.weight[2 * i : 2 * i + 2].T).repeat_interleave(2, 1)
        expected = torch.cat([weight, mean, log_sd, regression[:, 2:], core.log_sd[i, 2].expand(5, 1)], 1)
        assert_close(found[:, i], expected.detach())
        normal = torch.distributions.Normal(regression[:, :2], core.log_sd[i, :2].exp())
        log_weight = log_weight + normal.log_prob(x[:, i : i + 1])
    assert least < LEAST == -6
    assert_close(take_steps(core.steps(5), core.order, x), found[:, core.order])


def test_a_started_made_is_a_chain_whose_gradients_are_slopes():
    core = random_start("random")
    x = random_values(5, 4, None)
    check_order_of_dependence(core, x, core.order, None)
    model = AutoregressiveModel(Reals(4), core, AnchoredMixture(4))
    check_slope(model, lambda: model(x).sum())


def test_a_started_made_starts_with_its_net_at_zero():
    core = StartedMADE(4, (6,), 2, 2)
    assert not core.out.weight.any()
    assert not core.out.bias.any()
    assert core.direct is None
    assert core.n_params == 12


def test_a_net_sees_real_values_up_to_far():
    core = random_model(3, (5,), GaussianMixture(2), None).core
    x = torch.tensor([[FAR, -FAR, 1.0], [9 * FAR, -FAR - 1, 1.0], [FAR / 2, -FAR, 1.0]], dtype=torch.float64)
    params = core(x)
    assert FAR == 8
    assert_close(params[0], params[1])
    assert (params[0, 1] - params[2, 1]).abs().min() > 0.1


def test_training_takes_one_member_at_a_time():
    model = random_model(5, (6,), Bernoulli(), 2, order="random", n_masks=3)
    x = every_row(5, 2)[:4]
    members = [-member.log_prob(x) for member in model._members()]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        losses = [model.train()(x) for _ in range(20)]
    taken = {k for loss in losses for k, member in enumerate(members) if torch.equal(loss, member)}
    assert taken == {0, 1, 2}


def test_filling_a_mixture_weighs_what_is_given():
    """Self-normalised, the weighted draws estimate p(x_0 | x_3 = 1), which the table of all rows tells."""
    model = random_model(4, (6,), Bernoulli(), 2, order="random", n_masks=3)
    levels, given = torch.ones(20_000, 4).long(), torch.tensor([False, False, False, True]).expand(20_000, -1)
    filled, log_weight = model.fill(levels, given, torch.Generator().manual_seed(0))
    assert (filled[:, 3] == 1).all()
    weight = log_weight.exp() / log_weight.exp().sum()
    p = model.log_prob(every_row(4, 2)).exp().view(2, 2, 2, 2)[..., 1]
    assert abs(weight @ filled[:, 0].double() - p[1].sum() / p.sum()) < 0.02


@pytest.mark.parametrize("n_masks", [1, 3])
def test_filling_leaves_what_it_is_given_alone_and_repeats(n_masks):
    model = random_model(5, (6,), Categorical(3), 3, order="random", n_masks=n_masks)
    levels, given = random_values(200, 5, 3), torch.rand(200, 5, generator=torch.Generator().manual_seed(0)) < 0.5
    before, state = levels.clone(), torch.get_rng_state()
    one, other = (model.fill(levels, given, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(levels, before)
    assert torch.equal(one[0][given], levels[given])
    assert not torch.equal(one[0], levels)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    one, other = (model.complete(levels.double(), given, 4, torch.Generator().manual_seed(1)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert torch.equal(one[0][given], levels.double()[given])
    assert torch.equal(torch.get_rng_state(), state)


def test_what_is_given_late_takes_proposals_and_their_number_is_told(monkeypatch):
    model = random_model(4, (6,), Categorical(3), 3)
    given = torch.tensor([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 1]]).bool()
    late = torch.tensor([False, True, False, False, True, True])
    assert torch.equal(model._late(given), late)
    x = random_values(6, 4, 3).double()
    _, effective = model.complete(x, given, 5, torch.Generator().manual_seed(0))
    assert torch.equal(effective.isinf(), ~late)
    assert ((effective[late] > 1) & (effective[late] <= 5)).all()
    sizes = []

    def none(levels, given, n_proposals, generator):
        sizes.append(len(levels))
        return levels, torch.ones(len(levels), dtype=torch.float64)

    monkeypatch.setattr(model, "_resample", none)
    model.complete(x, given, 2**17)  # 2^20 numbers at a time: two rows of 4 times 2^17
    assert sizes == [2, 1]
    model.complete(x, given, 2**22)  # one row at least
    assert sizes == [2, 1, 1, 1, 1]


def test_proposals_are_taken_in_proportion_to_their_weight():
    """With two proposals, p(drawn | given) is known exactly: that of the better one weighs more."""
    model = random_model(2, (6,), Categorical(2), 2)
    joint = model.log_prob(every_row(2, 2)).exp().view(2, 2)  # p(x_0, x_1); x_1 = 1 is given
    first, second = joint.sum(1), joint[:, 1] / joint.sum(1)
    n = 40_000
    x, given = torch.ones(n, 2, dtype=torch.float64), torch.tensor([[False, True]]).expand(n, -1)
    drawn, effective = model.complete(x, given, 2, torch.Generator().manual_seed(0))
    share = second / second.sum()  # of the weight that either value of x_0 has, where both are proposed
    expected = first[1] ** 2 + 2 * first[0] * first[1] * share[1]
    assert abs(drawn[:, 0].mean() - expected) < 0.01
    assert_close(effective.unique(), torch.stack([1 / share.square().sum(), 2 * ONE]).sort().values)


def test_far_out_real_values_fall_and_stay_finite():
    torch.manual_seed(0)
    model = AutoregressiveModel(Reals(3), MADE(3, (20,), 15), GaussianMixture(5)).eval()
    x = torch.zeros(6, 3)
    x[:, 0] = torch.tensor([0.0, 4.0, 50.0, 1e6, 1e15, 1e30])
    scores = model.log_prob(x)
    assert scores.isfinite().all()
    assert (scores[:5].diff() < 0).all()


def test_gradients_reach_every_weight_that_is_not_masked():
    model = random_model(6, (9, 9), Bernoulli(), 2)
    for layer in model.core.hidden:
        layer.weight.data.abs_()  # no unit of relu at rest
        layer.bias.data.fill_(1.0)
    model(random_values(40, 6, 2).double()).sum().backward()
    for name, layer in model.core.named_children():
        for part in layer if name == "hidden" else [layer]:
            mask = part.in_degrees[0] <= part.out_degrees[0].unsqueeze(1)
            assert (part.weight.grad[~mask] == 0).all()
            assert (part.weight.grad[mask] != 0).all()


def parity(n, generator):
    """Three fair coins and their parity: 3 log 2 nats; a logistic regression takes the parity for a fourth coin."""
    coins = torch.randint(2, (n, 3), generator=generator)
    return torch.cat([coins, coins.sum(1, keepdim=True) % 2], 1).float()


@pytest.mark.parametrize("n_masks", [1, 4])
def test_learns_what_logistic_regressions_cannot(n_masks):
    generator = torch.Generator().manual_seed(0)
    rows, test = parity(1024, generator), parity(256, generator)
    scores = {}
    for hidden_layer_sizes in ((), (64,)):
        torch.manual_seed(0)
        core = MADE(4, hidden_layer_sizes, 1, n_levels=2, order="random", n_masks=n_masks)
        model = train(MixtureOfOrders(Levels(4, 2, whole=True), core, Bernoulli()), rows, 40, 1e-2)
        scores[hidden_layer_sizes] = model(test).mean().item()
    assert scores[()] > 4 * math.log(2) - 0.05
    assert scores[(64,)] < 3 * math.log(2) + 0.1


def test_learns_a_curved_density():
    generator = torch.Generator().manual_seed(0)
    a, noise = torch.randn(2, 3000, generator=generator)
    x = torch.stack([a, (a.square() - 1) + 0.1 * noise], 1)  # entropy 1.42 + 1.42 - 2.30 = 0.54 nats
    torch.manual_seed(0)
    model = AutoregressiveModel(Reals(2), MADE(2, (64,), 9), GaussianMixture(3, reg_covar=1e-4))
    score = train(model, x[:2000], 30, 1e-2)(x[2000:]).mean()
    assert 0.4 < score < 0.8
