"""Augmentation of batches of pictures."""

import pytest
import torch  # noqa: TID253

from models.augment import augment, change_ground, erase, recolour, splice, warp
from models.config import PictureConfig

STILL = {"flip": 0.0, "rotation": 0.0, "zoom": 0.0, "jitter": 0.0, "cast": 0.0, "erase": 0.0}


def config(**changes):
    return PictureConfig(pretrained="x", **{**STILL, **changes})


def pictures(n=4, side=16):
    return torch.randint(0, 256, (n, side, side, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def test_augment__nothing_switched_on_changes_nothing():
    result = augment(pictures(), config(), draw(), (16, 16))
    torch.testing.assert_close(result, pictures().permute(0, 3, 1, 2) / 255, atol=1e-5, rtol=0)


def test_augment__size_range_and_repeatability():
    strong = config(flip=0.5, rotation=20.0, zoom=0.4, jitter=0.5, cast=0.3, erase=1.0, ground=1.0)
    result = augment(pictures(), strong, draw(), (8, 12))
    assert result.shape == (4, 3, 8, 12)
    assert result.min() >= 0
    assert result.max() <= 1
    torch.testing.assert_close(result, augment(pictures(), strong, draw(), (8, 12)))
    assert not torch.equal(result, augment(pictures(), strong, draw(1), (8, 12)))


def test_warp__certain_flip_is_a_mirror():
    images = pictures().permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(warp(images, config(flip=1.0), draw(), (16, 16)), images.flip(3), atol=1e-5, rtol=0)


def test_warp__zoom_stays_inside():
    ramp = torch.linspace(0, 1, 16).expand(50, 3, 16, 16)
    result = warp(ramp, config(zoom=0.5), draw(), (16, 16))
    assert (result[..., -1] - result[..., 0] >= 0.45).all()
    assert (result.diff(dim=3) > 0).all()  # nowhere the repeated border


def test_erase__certain_blanks_one_rectangle_of_some_pictures():
    images = torch.full((64, 3, 16, 16), 2.0)
    changed = (erase(images, config(erase=1.0, erase_share=0.5), draw()) != 2.0)[:, 0]
    assert (changed.sum((1, 2)) <= 81).all()
    assert changed.any((1, 2)).float().mean() > 0.8
    heights, widths = changed.any(2).sum(1), changed.any(1).sum(1)
    assert (changed.sum((1, 2)) == heights * widths).all()


def test_change_ground__only_the_plain_background():
    image = torch.ones(1, 3, 16, 16)
    image[:, :, 5:11, 5:11] = 0.3
    result = change_ground(image, 1.0, draw())
    torch.testing.assert_close(result[:, :, 5:11, 5:11], image[:, :, 5:11, 5:11])
    assert (result[:, :, 0, 0] != 1.0).all()
    assert (result[:, :, 15, 15] == result[:, :, 0, 0]).all()


def test_change_ground__busy_border_is_left_alone():
    images = pictures().permute(0, 3, 1, 2) / 255
    assert torch.equal(change_ground(images, 1.0, draw()), images)


@pytest.mark.parametrize("chance", [0.0, 0.5])
def test_change_ground__chance(chance):
    result = change_ground(torch.ones(400, 3, 8, 8), chance, draw())
    assert (result[:, 0, 0, 0] != 1.0).float().mean().item() == pytest.approx(chance, abs=0.08)


def test_recolour__both_pictures_alike():
    first, second = recolour(pictures(200), pictures(200).flip(1), 0.5, draw())
    assert torch.equal(first.flip(1), second)
    changed = (first != pictures(200)).any(3).any(2).any(1)
    assert changed.float().mean().item() == pytest.approx(0.5 * 5 / 6, abs=0.1)  # one of six orders is the old one
    assert torch.equal(first.sort(3).values, pictures(200).sort(3).values)


def test_recolour__never():
    first, second = recolour(pictures(), pictures(), 0.0, draw())
    assert torch.equal(first, pictures())
    assert torch.equal(second, pictures())


def test_splice__both_pictures_are_sewn_at_the_same_place():
    number = torch.arange(200, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 16, 16, 3)
    first, second, new = splice(number, number, torch.arange(200), 0.5, draw())
    assert torch.equal(first, second)
    assert new.float().mean().item() == pytest.approx(0.5, abs=0.1)
    for row in range(200):
        shown = set(first[row].unique().tolist())
        assert row in shown
        assert len(shown) == 1 + new[row]
    assert torch.equal(first[~new], number[~new])
    share = (first == number).float().mean((1, 2, 3))[new]
    assert 0.3 <= share.min() <= share.max() <= 0.7 + 1 / 16


def test_splice__no_product_goes_on_as_itself():
    products = torch.arange(200) % 2
    number = products.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 16, 16, 3)
    first, _, new = splice(number, number, products, 1.0, draw())
    assert new.float().mean().item() == pytest.approx(0.5, abs=0.1)
    assert all(len(picture.unique()) == 2 for picture in first[new])


def test_splice__never():
    first, second, new = splice(pictures(), pictures(), torch.arange(len(pictures())), 0.0, draw())
    assert torch.equal(first, pictures())
    assert torch.equal(second, pictures())
    assert not new.any()


def test_augment__is_the_same_under_autocast():
    """Training in bfloat16 must not blur or move what is trained on."""
    config = PictureConfig(pretrained="x", rotation=15.0, zoom=0.3, ground=0.5, erase=0.5)
    plain = augment(pictures(), config, draw(), (20, 20))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(augment(pictures(), config, draw(), (20, 20)), plain)
