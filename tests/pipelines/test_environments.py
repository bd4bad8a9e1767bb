"""Settings: every variable is refused by name when it is wrong."""

from pathlib import Path

import pytest

from pipelines.environments import OTHERS, Settings, SettingsError, read_settings


def test_read_settings__defaults() -> None:
    assert read_settings({}) == Settings()


def test_read_settings__empty_is_unset(tmp_path: Path) -> None:
    settings = read_settings({"FASHION_POSTS": "", "FASHION_SEED": "7", "FASHION_DATA": str(tmp_path), "HOME": "/x"})
    assert (settings.posts, settings.seed, settings.data) == (Settings().posts, 7, tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FASHION_SEED", "minus one"),
        ("FASHION_SEED", "-1"),
        ("FASHION_POSTS", "3"),
        ("FASHION_PROFILE", "production"),
        ("FASHION_SANDBOX_PORT", "80"),
        ("FASHION_PHOTOS", "/no/such/folder"),
        ("FASHION_STREET", "/no/such/folder"),
        ("FASHION_DATA", "s3://bucket/shop"),
        ("FASHION_DATA", __file__),
        ("FASHION_POST", "100"),
        ("FASHION_ENGINE", "spark"),
        ("FASHION_RAY_WORKERS", "0"),
        ("FASHION_RAY_GPUS", "-1"),
        ("FASHION_WEBHOOK", "foo"),
        ("FASHION_WEBHOOK", "ftp://hooks.example.com/x"),
        ("FASHION_WEBHOOK", "https:///x"),
        ("FASHION_CLEARED", "kream,kraem"),
        ("FASHION_TABLES", "foo://x"),
        ("FASHION_CRAWL_DELAY", "0"),
    ],
)
def test_read_settings__wrong_value_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: "):
        read_settings({name: value})


def test_read_settings__tables_with_credentials_are_refused_and_not_shown() -> None:
    with pytest.raises(SettingsError, match="FASHION_TABLES: ") as refused:
        read_settings({"FASHION_TABLES": "s3://key:verysecret@bucket/shop"})
    assert "verysecret" not in str(refused.value)


def test_read_settings__webhook_is_not_shown() -> None:
    with pytest.raises(SettingsError, match=r"FASHION_WEBHOOK: must be an http or https address, got '\*\*\*'"):
        read_settings({"FASHION_WEBHOOK": "hooks.example.com/secret"})


def test_cleared_sites__are_known() -> None:
    assert Settings(cleared=" kream, 29cm ").cleared_sites == ["kream", "29cm"]


def test_read_settings__photos_are_no_real_site(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^FASHION_PHOTOS: .*FASHION_PROFILE is full"):
        read_settings({"FASHION_PROFILE": "full", "FASHION_PHOTOS": str(tmp_path)})


def test_tables_at__url_or_absolute_path() -> None:
    assert Settings().tables_at == ""
    assert Settings(tables="s3://shop/all").tables_at == "s3://shop/all"
    assert Settings(tables="elsewhere").tables_at == str(Path.cwd() / "elsewhere")


def test_read_settings__names_every_wrong_variable_at_once() -> None:
    with pytest.raises(SettingsError, match=r"FASHION_SEED.*FASHION_POSTS"):
        read_settings({"FASHION_SEED": "x", "FASHION_POSTS": "y"})


def test_world__differs_by_what_is_crawled(tmp_path: Path) -> None:
    worlds = {
        Settings().world,
        Settings(seed=2).world,
        Settings(posts=50).world,
        Settings(photos=tmp_path).world,
        Settings(profile="full").world,
    }
    assert len(worlds) == 5


def test_read_settings__a_wrong_name_gets_the_nearest() -> None:
    with pytest.raises(SettingsError, match=r"FASHION_SEDE: there is no such setting; did you mean FASHION_SEED\?"):
        read_settings({"FASHION_SEDE": "4"})
    with pytest.raises(SettingsError, match=r"FASHION_XYZZY: there is no such setting$"):
        read_settings({"FASHION_XYZZY": "4"})


def test_read_settings__a_wrong_value_shows_no_password() -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({"FASHION_SANDBOX_PORT": "http://user:hush@host"})
    assert "hush" not in str(refused.value)


def test_read_settings__leaves_alone_what_is_read_elsewhere() -> None:
    assert read_settings(dict.fromkeys(OTHERS, "/x")) == Settings()
