"""The contrastive loss against plain loops and 2-D cases."""

import math

import pytest
import torch  # noqa: TID253
import torch.nn.functional as F  # noqa: TID253

from models.config import make_config
from models.encoder.config import EncoderConfig
from models.encoder.loss import PairLoss, info_nce, triplet
from models.errors import ConfigError
from models.presets import preset


def at(*degrees):
    """Unit vectors in the plane."""
    return torch.tensor([[math.cos(math.radians(d)), math.sin(math.radians(d))] for d in degrees])


def plain(anchors, positives, labels, temperature, *, apart):
    """The same loss as loops over rows, straight from its definition."""
    total = 0.0
    for first, second in ((anchors, positives), (positives, anchors)):
        for i in range(len(labels)):
            others = [j for j in range(len(labels)) if labels[j] != labels[i]]
            scores = [float(first[i] @ second[j]) / temperature for j in [i, *others]]
            if apart and first is positives:
                scores += [float(positives[i] @ positives[j]) / temperature for j in others]
            total += math.log(sum(math.exp(s) for s in scores)) - scores[0]
    return total / (2 * len(labels))


def test_info_nce__two_orthogonal_pairs():
    vectors, labels = at(0, 90), torch.tensor([0, 1])
    forth, back = math.log(1 + math.exp(-1)), math.log(1 + 2 * math.exp(-1))
    assert info_nce(vectors, vectors, labels, 1.0).item() == pytest.approx((forth + back) / 2)
    assert info_nce(vectors, vectors, labels, 1.0, positives_apart=False).item() == pytest.approx(forth)


def test_info_nce__same_product_is_no_negative():
    assert info_nce(at(0, 0), at(0, 0), torch.tensor([7, 7]), 0.1).item() == 0.0
    halves = (math.log(2) + math.log(3)) / 2
    assert info_nce(at(0, 0), at(0, 0), torch.tensor([7, 8]), 0.1).item() == pytest.approx(halves)


def test_info_nce__same_product_is_not_pushed_away():
    anchors, positives = at(0, 20, 90).requires_grad_(), at(5, 10, 80)
    for labels, pushed in ((torch.tensor([1, 1, 2]), False), (torch.tensor([1, 3, 2]), True)):
        grad = torch.autograd.grad(info_nce(anchors[:1], positives[:1], labels[:1], 0.1), anchors)[0]
        both = torch.autograd.grad(info_nce(anchors[:2], positives[:2], labels[:2], 0.1), anchors)[0]
        assert (both.abs().sum() > grad.abs().sum()).item() is pushed


def test_info_nce__thumbnails_that_look_alike_are_pushed_apart():
    """Two anchors tell nothing of two thumbnails that are equally far from both, and from each other hardly at all."""
    anchors, labels = torch.eye(3)[:2], torch.tensor([0, 1])
    positives = F.normalize(torch.tensor([[1.0, 0, 5.0], [0, 1.0, 5.0]]), dim=1)

    def pull(**options):
        own = positives.clone().requires_grad_()
        info_nce(anchors, own, labels, 0.1, **options).backward()
        return float((own.grad[0] @ (positives[1] - positives[0])).detach())  # > 0: a step takes the first away

    assert pull() > 2 * pull(positives_apart=False) > 0
    torch.testing.assert_close(pull(both_directions=False), pull(both_directions=False, positives_apart=False))


def test_info_nce__thumbnails_of_one_product_are_not_pushed_apart():
    vectors = at(0, 1)
    same, other = (
        info_nce(vectors, vectors, torch.tensor(labels), 0.1)
        - info_nce(vectors, vectors, torch.tensor(labels), 0.1, positives_apart=False)
        for labels in ([3, 3], [3, 4])
    )
    assert same == 0 < other


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("temperature", [0.05, 0.5, 1.0])
def test_info_nce__equals_the_plain_loops(temperature, apart):
    draw = torch.Generator().manual_seed(3)
    anchors, positives = (F.normalize(torch.randn(12, 2, generator=draw), dim=1) for _ in range(2))
    labels = torch.tensor([0, 0, 0, 1, 2, 2, 3, 4, 5, 5, 6, 7])
    expected = plain(anchors, positives, labels.tolist(), temperature, apart=apart)
    value = info_nce(anchors, positives, labels, temperature, positives_apart=apart)
    assert value.item() == pytest.approx(expected, rel=1e-4)


def test_info_nce__both_directions_count():
    labels = torch.tensor([0, 1, 2])
    anchors, positives = at(0, 10, 90), at(0, 90, 95)
    there, back = (
        info_nce(*sides, labels, 0.2, positives_apart=False).item()
        for sides in ((anchors, positives), (positives, anchors))
    )
    assert there == pytest.approx(back)
    one_way = F.cross_entropy(anchors @ positives.T / 0.2, torch.arange(3))
    assert there != pytest.approx(one_way.item(), abs=1e-3)


def test_info_nce__order_of_rows_does_not_matter():
    labels, order = torch.tensor([0, 0, 1, 2]), torch.tensor([3, 1, 0, 2])
    anchors, positives = at(0, 30, 90, 200), at(10, 20, 80, 190)
    expected = info_nce(anchors, positives, labels, 0.1)
    torch.testing.assert_close(info_nce(anchors[order], positives[order], labels[order], 0.1), expected)


def loss_of(products=3, **changes):
    values = preset("encoder", "tiny", dimension=2, **changes)
    return PairLoss(make_config(EncoderConfig, values), products)


def test_pair_loss__learned_temperature_falls_when_pairs_fit():
    loss = loss_of(temperature=0.5)
    loss(at(0, 90, 180), at(0, 90, 180), torch.arange(3)).backward()
    assert loss.log_temperature.grad > 0


def test_pair_loss__rows_that_are_left_out_leave_the_gradient_of_the_temperature_finite():
    loss = loss_of()
    loss(at(0, 30, 60), at(10, 40, 70), torch.tensor([0, 0, 1])).backward()
    assert loss.log_temperature.grad.isfinite()


def test_pair_loss__temperature_is_bounded_and_may_be_fixed():
    vectors, labels = at(0, 90), torch.arange(2)
    loss = loss_of(temperature=1e-6, learn_temperature=False)
    assert not loss.log_temperature.requires_grad
    torch.testing.assert_close(loss(vectors, at(1, 80), labels), info_nce(vectors, at(1, 80), labels, 0.01))


def test_pair_loss__temperature_comes_back_from_its_bound():
    loss = loss_of(temperature=0.01)
    with torch.no_grad():
        loss.log_temperature -= 0.5  # as a step may leave it
    loss(at(0, 90), at(80, 10), torch.arange(2)).backward()  # pairs that do not fit: a higher one would help
    assert loss.log_temperature.grad < 0
    assert loss.temperature.item() == pytest.approx(0.01)


def test_pair_loss__prior_recipe_is_plain_cross_entropy_one_way():
    labels, anchors, positives = torch.tensor([0, 0, 1]), at(0, 10, 90), at(0, 90, 95)
    loss = loss_of(both_directions=False, mask_same_product=False, temperature=0.2)
    expected = F.cross_entropy(anchors @ positives.T / 0.2, torch.arange(3))
    torch.testing.assert_close(loss(anchors, positives, labels), expected)


def test_triplet__negative_is_the_next_row_of_another_product():
    anchors, positives = at(0, 0, 90), at(0, 10, 60)
    labels = torch.tensor([0, 0, 1])
    cosine = anchors @ positives.T
    expected = [max(0.0, float(cosine[i, j] - cosine[i, i]) + 0.2) for i, j in ((0, 2), (1, 2), (2, 0))]
    assert triplet(anchors, positives, labels, 0.2).item() == pytest.approx(sum(expected) / 3)
    assert triplet(anchors, positives, torch.zeros(3), 0.2).item() == 0.0


def test_pair_loss__classification_learns_prototypes_of_products():
    torch.manual_seed(0)
    loss = loss_of(3, loss="classification", temperature=0.1, margin=0.1)
    vectors, labels = at(0, 120, 240), torch.arange(3)
    optimiser = torch.optim.Adam(loss.parameters(), lr=0.1)
    first = loss(vectors, vectors, labels)
    for _ in range(60):
        optimiser.zero_grad()
        loss(vectors, vectors, labels).backward()
        optimiser.step()
    assert loss(vectors, vectors, labels) < first / 10
    assert (vectors @ F.normalize(loss.prototypes, dim=1).T).argmax(1).tolist() == [0, 1, 2]


def test_pair_loss__classification_leaves_rows_of_no_product_out():
    loss = loss_of(3, loss="classification")
    vectors = at(0, 120, 240)
    known = loss(vectors[:2], vectors[:2], torch.tensor([0, 1]))
    torch.testing.assert_close(loss(vectors, vectors, torch.tensor([0, 1, -1])), known)
    assert loss(vectors, vectors, torch.tensor([-1, -2, -3])).item() == 0.0


def test_pair_loss__matryoshka_is_the_mean_over_prefixes():
    draw = torch.Generator().manual_seed(1)
    anchors, positives = (F.normalize(torch.randn(6, 8, generator=draw), dim=1) for _ in range(2))
    labels = torch.arange(6)
    loss = PairLoss(make_config(EncoderConfig, preset("encoder", "tiny", dimension=8, matryoshka=[2, 4])), 6)
    each = [
        info_nce(F.normalize(anchors[:, :n], dim=1), F.normalize(positives[:, :n], dim=1), labels, 0.07)
        for n in (2, 4, 8)
    ]
    torch.testing.assert_close(loss(anchors, positives, labels), torch.stack(each).mean())


@pytest.mark.parametrize("lengths", [[1], [128], [64, 200]])
def test_encoder_config__matryoshka_lengths_are_shorter(lengths):
    with pytest.raises(ConfigError, match="matryoshka"):
        make_config(EncoderConfig, preset("encoder", "tiny", matryoshka=lengths))


@pytest.mark.parametrize("loss", ["contrastive", "triplet", "classification"])
def test_pair_loss__is_computed_in_float32(loss):
    """Three digits, as bfloat16 has them, do not tell siblings apart."""
    draw = torch.Generator().manual_seed(5)
    anchors, positives = (F.normalize(torch.randn(6, 8, generator=draw), dim=1) for _ in range(2))
    torch.manual_seed(1)
    config = make_config(EncoderConfig, preset("encoder", "tiny", dimension=8, loss=loss, matryoshka=[4]))
    of_pairs, labels = PairLoss(config, 6), torch.arange(6)
    expected = of_pairs(anchors, positives, labels)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(of_pairs(anchors, positives, labels), expected)
