"""Thumbnails for the classifier: reading, splitting by product, balanced batches."""

import csv

import numpy as np
import pytest

from curation.schemas import CATALOG, EMBEDDINGS
from curation.tables import rows_to_batch, write_shard
from curation.taxonomy import LABELS
from models.classifier.data import BalancedBatches, folds, read_held_out, read_thumbnails, split_by_product
from models.classifier.worn import read_worn
from models.errors import DataError
from tests.models import toys


def test_read_thumbnails__catalog(catalog):
    data, fingerprint = read_thumbnails([catalog], (24, 20))
    assert data.pixels().shape == (160, 24, 20, 3)
    assert np.bincount(data.labels).tolist() == [20] * 8
    assert len(set(data.products)) == 160
    assert fingerprint == read_thumbnails([catalog], (8, 8))[1]


def test_read_thumbnails__broken_pictures_are_left_out(tmp_path):
    table = toys.catalog_table(tmp_path, per_class=2)
    rows = table.shards[0].table().to_pylist()
    rows[0] = {**rows[0], "bytes": rows[0]["bytes"][:100]}
    rows.append({**rows[0], "bytes": None, "sha256": None, "error": "missing"})
    write_shard(tmp_path, table.shards[0].name, CATALOG, [rows_to_batch(rows, CATALOG)], fingerprint="x")
    assert len(read_thumbnails([tmp_path], (8, 8))[0]) == 15


def test_read_thumbnails__class_without_pictures(tmp_path):
    table = toys.catalog_table(tmp_path, per_class=1)
    next(shard for shard in table.shards if shard.name.endswith("hat")).path.unlink()
    with pytest.raises(DataError, match=r"no usable thumbnail of hat$"):
        read_thumbnails([tmp_path], (8, 8))


def test_read_thumbnails__unknown_category(tmp_path):
    table = toys.catalog_table(tmp_path, per_class=1)
    rows = [{**row, "category": "socks"} for row in table.shards[0].table().to_pylist()]
    write_shard(tmp_path, table.shards[0].name, CATALOG, [rows_to_batch(rows, CATALOG)], fingerprint="x")
    with pytest.raises(DataError, match="socks"):
        read_thumbnails([tmp_path], (8, 8))


def test_read_thumbnails__table_of_another_kind(tmp_path):
    write_shard(tmp_path, "0", EMBEDDINGS, [rows_to_batch([], EMBEDDINGS)], fingerprint="x")
    with pytest.raises(DataError, match=r" is no catalog table: 0 has no column bytes$"):
        read_thumbnails([tmp_path], (8, 8))


def test_read_thumbnails__labelled_folder(tmp_path):
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "category", "group"])
        for index, label in enumerate(LABELS):
            toys.thumbnail(label, index).save(tmp_path / f"{label}.png")
            writer.writerow([f"{label}.png", label, "same-sender"])
    data, _ = read_thumbnails([tmp_path], (8, 8))
    assert data.labels.tolist() == list(range(8))
    assert set(data.products) == {"same-sender"}


def test_read_thumbnails__labels_of_a_spreadsheet(tmp_path):
    rows = [f"{label}.png,{label}" for label in LABELS]
    for index, label in enumerate(LABELS):
        toys.thumbnail(label, index).save(tmp_path / f"{label}.png")
    (tmp_path / "labels.csv").write_text("\r\n".join(["image,category", *rows]), encoding="utf-8-sig")
    assert read_thumbnails([tmp_path], (8, 8))[0].labels.tolist() == list(range(8))
    (tmp_path / "labels.csv").write_text("\n".join(["picture;category", *rows]))
    with pytest.raises(DataError, match=r"labels\.csv: missing columns \['category', 'image'\]"):
        read_thumbnails([tmp_path], (8, 8))


def test_read_thumbnails__a_folder_fills_in_for_a_catalog(tmp_path):
    catalog = toys.catalog_table(tmp_path / "catalog", per_class=2)
    next(shard for shard in catalog.shards if shard.name.endswith("hat")).path.unlink()
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.png").write_bytes(toys.catalog_table(tmp_path / "other", 1).shards[0].table()["bytes"][0].as_py())
    (folder / "labels.csv").write_text("image,category,group\na.png,hat,g1\n")
    data, both = read_thumbnails([tmp_path / "catalog", folder], (8, 8))
    assert np.bincount(data.labels)[LABELS.index("hat")] == 1
    assert len(data) == 15
    with pytest.raises(DataError, match="hat"):
        read_thumbnails([tmp_path / "catalog"], (8, 8))
    assert both != read_thumbnails([tmp_path / "other"], (8, 8))[1]


def test_split_by_product__a_product_is_on_one_side(catalog):
    data, _ = read_thumbnails([catalog], (8, 8))
    train, validation = split_by_product(data, 0.3)
    assert not set(train.products) & set(validation.products)
    assert len(train) + len(validation) == 160
    assert 0.15 < len(validation) / 160 < 0.45


def test_read_held_out__is_the_validation_side(catalog):
    _, validation = split_by_product(read_thumbnails([catalog], (8, 8))[0], 0.3)
    alone = read_held_out(catalog, (8, 8), 0.3)
    assert alone.products == validation.products
    np.testing.assert_array_equal(alone.labels, validation.labels)
    np.testing.assert_array_equal(alone.pixels(), validation.pixels())


def test_split_by_product__of_the_first_source_alone(catalog, tmp_path):
    folder = toys.catalog_table(tmp_path / "folder", per_class=20).root
    data, _ = read_thumbnails([catalog, folder], (8, 8))
    train, validation = split_by_product(data, 0.3)
    assert len(train) + len(validation) == 320
    assert np.bincount(train.sources).tolist() == [160 - len(validation), 160]
    alone = read_held_out(catalog, (8, 8), 0.3)
    np.testing.assert_array_equal(alone.pixels(), validation.pixels())
    with pytest.raises(DataError, match="validation has 0 products"):
        split_by_product(train, 0.3)


def test_split_by_product__survives_new_products(catalog):
    data, _ = read_thumbnails([catalog], (8, 8))
    half = data.take(np.arange(160) % 2 == 0)
    assert set(split_by_product(half, 0.3)[1].products) <= set(split_by_product(data, 0.3)[1].products)


def test_thumbnails__pictures_are_in_a_file(catalog, tmp_path):
    data, _ = read_thumbnails([catalog], (24, 20), tmp_path)
    assert isinstance(data.stored, np.memmap)
    assert not list(tmp_path.iterdir())  # it has no name that could be left behind
    part = data.take(data.labels == 3)
    assert part.stored is data.stored
    np.testing.assert_array_equal(part.pixels(), data.pixels()[data.labels == 3])
    images = [image for images in data.images() for image in images]
    np.testing.assert_array_equal(np.stack(images), data.pixels())


def test_folds__a_product_is_in_one_part():
    products = [f"product-{number % 12}" for number in range(40)]
    parts = list(folds(products, 5))
    assert np.sum(parts, axis=0).tolist() == [1] * 40
    assert all(part.any() for part in parts)
    names = [set(np.array(products)[part]) for part in parts]
    assert sum(map(len, names)) == 12
    assert len(list(folds(["a", "b", "a"], 5))) == 2


def test_split_by_product__too_few(tmp_path):
    data, _ = read_thumbnails([toys.catalog_table(tmp_path, per_class=1).root], (8, 8))
    with pytest.raises(DataError, match="too few"):
        split_by_product(data, 0.9)


def test_balanced_batches__rare_classes_come_as_often(catalog):
    data, _ = read_thumbnails([catalog], (8, 8))
    rare = data.take((data.labels != 2) | (np.arange(160) % 20 == 0))
    batches = BalancedBatches(rare, 64, 0)
    labels = np.concatenate([batches(step)[1].numpy() for step in range(50)])
    assert np.bincount(labels, minlength=8).min() > 0.8 * len(labels) / 8


def test_balanced_batches__the_look_of_a_source_does_not_tell_the_class(tmp_path):
    shop, other = (toys.catalog_table(tmp_path / name, count).root for name, count in (("shop", 10), ("other", 4)))
    data, _ = read_thumbnails([shop, other], (8, 8))
    first_of_other = int(np.argmax(data.sources == 1))
    few = data.take((data.labels != 2) | (np.arange(len(data)) % 10 == 0) | (np.arange(len(data)) >= first_of_other))
    few = few.take((few.labels != 5) | (few.sources == 0))
    batches = BalancedBatches(few, 64, 0)
    rows = np.concatenate([batches(step)[2] for step in range(80)])
    assert np.bincount(few.labels[rows], minlength=8).min() > 0.8 * len(rows) / 8
    shares = [few.sources[rows][few.labels[rows] == label].mean() for label in range(8)]
    assert shares == [pytest.approx(0.0 if label == 5 else 0.5, abs=0.08) for label in range(8)]


def test_balanced_batches__worn_garments_take_their_share(catalog, photos):
    shop, _ = read_thumbnails([catalog], (8, 8))
    worn, _ = read_worn(photos, (8, 8))
    batches = BalancedBatches(shop, 64, 0, worn=worn, share=0.25)
    pixels, labels, rows = (np.concatenate([batches(step)[part] for step in range(80)]) for part in range(3))
    np.testing.assert_array_equal(pixels, np.concatenate([shop.pixels(), worn.pixels()])[rows])
    np.testing.assert_array_equal(labels, np.concatenate([shop.labels, worn.labels])[rows])
    assert np.bincount(labels, minlength=8).min() > 0.8 * len(labels) / 8
    shares = [(rows[labels == label] >= len(shop)).mean() for label in range(8)]
    assert shares == [pytest.approx(0.0 if name == "etc" else 0.25, abs=0.06) for name in LABELS]


def test_balanced_batches__a_class_that_no_photo_shows_comes_as_often(catalog, photos):
    shop, _ = read_thumbnails([catalog], (8, 8))
    worn, _ = read_worn(photos, (8, 8))
    batches = BalancedBatches(shop, 64, 0, worn=worn, share=0.6)
    labels = np.concatenate([batches(step)[1] for step in range(80)])
    assert np.bincount(labels, minlength=8).min() > 0.8 * len(labels) / 8
