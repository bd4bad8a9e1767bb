"""The loss that doubts labels: plain cross entropy when told so, and no memory for wrong labels."""

import torch  # noqa: TID253
import torch.nn.functional as F  # noqa: TID253

from models.classifier.loss import EarlyLearning


def test_early_learning__strength_0_is_cross_entropy():
    logits, labels = torch.randn(6, 3), torch.arange(6) % 3
    loss = EarlyLearning(6, 3, strength=0.0, smoothing=0.1)(logits, labels, torch.arange(6))
    torch.testing.assert_close(loss, F.cross_entropy(logits, labels, label_smoothing=0.1))


def test_early_learning__remembers_what_it_predicted():
    loss = EarlyLearning(4, 2, strength=1.0, smoothing=0.0)
    logits = torch.tensor([[3.0, 0.0], [0.0, 3.0]])
    for _ in range(30):
        loss(logits, torch.tensor([0, 1]), torch.tensor([1, 3]))
    torch.testing.assert_close(loss.targets[[1, 3]], logits.softmax(1), atol=1e-3, rtol=0)
    assert loss.targets[[0, 2]].sum() == 0
    assert set(loss.state_dict()) == {"targets"}


def test_early_learning__fits_a_wrong_label_less():
    """Two clouds, a tenth of the labels wrong, and enough room to learn each row by heart."""
    draw = torch.Generator().manual_seed(0)
    true = torch.arange(200) % 2
    points = torch.randn(200, 20, generator=draw) + 1.2 * (2 * true[:, None] - 1)
    told = torch.where(torch.arange(200) % 10 < 2, 1 - true, true)

    def wrong_ones_learnt(strength):
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Linear(20, 128), torch.nn.ReLU(), torch.nn.Linear(128, 2))
        optimiser, loss = torch.optim.Adam(network.parameters(), 3e-3), EarlyLearning(200, 2, strength, 0.0)
        for _ in range(200):
            optimiser.zero_grad()
            loss(network(points), told, torch.arange(200)).backward()
            optimiser.step()
        return float((network(points).argmax(1) == told)[told != true].float().mean())

    assert wrong_ones_learnt(0.0) > 0.9
    assert wrong_ones_learnt(3.0) < 0.5
