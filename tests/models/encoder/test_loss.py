"""The contrastive loss against plain loops and 2-D cases."""

import math

import pytest
import torch  # noqa: TID253
import torch.nn.functional as F  # noqa: TID253

from models.encoder.loss import ContrastiveLoss, info_nce


def at(*degrees):
    """Unit vectors in the plane."""
    return torch.tensor([[math.cos(math.radians(d)), math.sin(math.radians(d))] for d in degrees])


def plain(anchors, positives, labels, temperature):
    """The same loss as loops over rows, straight from its definition."""
    total = 0.0
    for first, second in ((anchors, positives), (positives, anchors)):
        for i in range(len(labels)):
            rivals = [j for j in range(len(labels)) if j == i or labels[j] != labels[i]]
            scores = [float(first[i] @ second[j]) / temperature for j in rivals]
            own = float(first[i] @ second[i]) / temperature
            total += math.log(sum(math.exp(s) for s in scores)) - own
    return total / (2 * len(labels))


def test_info_nce__two_orthogonal_pairs():
    value = info_nce(at(0, 90), at(0, 90), torch.tensor([0, 1]), 1.0)
    assert value.item() == pytest.approx(math.log(1 + math.exp(-1)))


def test_info_nce__same_product_is_no_negative():
    assert info_nce(at(0, 0), at(0, 0), torch.tensor([7, 7]), 0.1).item() == 0.0
    assert info_nce(at(0, 0), at(0, 0), torch.tensor([7, 8]), 0.1).item() == pytest.approx(math.log(2))


def test_info_nce__same_product_is_not_pushed_away():
    anchors, positives = at(0, 20, 90).requires_grad_(), at(5, 10, 80)
    for labels, pushed in ((torch.tensor([1, 1, 2]), False), (torch.tensor([1, 3, 2]), True)):
        grad = torch.autograd.grad(info_nce(anchors[:1], positives[:1], labels[:1], 0.1), anchors)[0]
        both = torch.autograd.grad(info_nce(anchors[:2], positives[:2], labels[:2], 0.1), anchors)[0]
        assert (both.abs().sum() > grad.abs().sum()).item() is pushed


@pytest.mark.parametrize("temperature", [0.05, 0.5, 1.0])
def test_info_nce__equals_the_plain_loops(temperature):
    draw = torch.Generator().manual_seed(3)
    anchors, positives = (F.normalize(torch.randn(12, 2, generator=draw), dim=1) for _ in range(2))
    labels = torch.tensor([0, 0, 0, 1, 2, 2, 3, 4, 5, 5, 6, 7])
    expected = plain(anchors, positives, labels.tolist(), temperature)
    assert info_nce(anchors, positives, labels, temperature).item() == pytest.approx(expected, rel=1e-4)


def test_info_nce__both_directions_count():
    labels = torch.tensor([0, 1, 2])
    anchors, positives = at(0, 10, 90), at(0, 90, 95)
    assert info_nce(anchors, positives, labels, 0.2) == pytest.approx(info_nce(positives, anchors, labels, 0.2).item())
    one_way = F.cross_entropy(anchors @ positives.T / 0.2, torch.arange(3))
    assert info_nce(anchors, positives, labels, 0.2).item() != pytest.approx(one_way.item(), abs=1e-3)


def test_info_nce__order_of_rows_does_not_matter():
    labels, order = torch.tensor([0, 0, 1, 2]), torch.tensor([3, 1, 0, 2])
    anchors, positives = at(0, 30, 90, 200), at(10, 20, 80, 190)
    expected = info_nce(anchors, positives, labels, 0.1)
    torch.testing.assert_close(info_nce(anchors[order], positives[order], labels[order], 0.1), expected)


def test_contrastive_loss__learned_temperature_falls_when_pairs_fit():
    loss = ContrastiveLoss(0.5, learned=True)
    loss(at(0, 90, 180), at(0, 90, 180), torch.arange(3)).backward()
    assert loss.log_temperature.grad > 0


def test_contrastive_loss__temperature_is_bounded_and_may_be_fixed():
    vectors, labels = at(0, 90), torch.arange(2)
    loss = ContrastiveLoss(1e-6, learned=False)
    assert not loss.log_temperature.requires_grad
    torch.testing.assert_close(loss(vectors, at(1, 80), labels), info_nce(vectors, at(1, 80), labels, 0.01))
