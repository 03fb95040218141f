"""Sessions, keys and brakes by themselves, with the clock in hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from pipelines.errors import InvalidRequest
from studio.accounts import Forbidden, may, require
from studio.accounts.brakes import MOST, Brake, Brakes
from studio.accounts.keys import Key, Keys
from studio.accounts.sessions import IDLE_SECONDS, Sessions
from studio.accounts.users import Users
from studio.database import connect, migrate
from studio.settings import Settings
from tests.accounts.conftest import Clock


def test_a_session_ends_when_it_was_idle_for_long(engine: Engine, clock: Clock) -> None:
    sessions = Sessions(engine, "key", clock)
    cookie = sessions.begin("ada", "proof")
    clock.now += IDLE_SECONDS - 1
    found = sessions.find(cookie)
    assert found is not None
    assert (found.owner, found.proof) == ("ada", "proof")
    clock.now += IDLE_SECONDS - 1  # it was used in between
    assert sessions.find(cookie) is not None
    clock.now += IDLE_SECONDS
    assert sessions.find(cookie) is None
    assert sessions.count("ada") == 0


def test_a_made_up_cookie_is_known_without_the_database(engine: Engine, clock: Clock) -> None:
    sessions = Sessions(engine, "key", clock)
    cookie = sessions.begin("ada", "proof")
    other = Sessions(engine, "another key", clock)
    assert sessions.is_ours(cookie)
    for made_up in ("", "a", "a.b", ("A" if cookie[0] != "A" else "B") + cookie[1:], "ä.ö", "\udcff"):
        assert not sessions.is_ours(made_up)
    assert not other.is_ours(cookie)


def test_the_database_holds_nothing_one_could_log_in_with(
    tmp_path: Path, engine: Engine, clock: Clock
) -> None:
    cookie = Sessions(engine, "key", clock).begin("ada", Users({"ada": "geheimes Wort"}, b"key").proof("ada"))
    _, key = Keys(engine, clock).add("ada", "laptop")
    held = b"".join(file.read_bytes() for file in tmp_path.glob("studio.db*"))
    assert b"laptop" in held
    for secret in (cookie.split(".")[0], key, key.removeprefix("sk-"), "geheimes Wort"):
        assert secret.encode() not in held


def test_a_key_is_shown_once_listed_used_and_revoked(engine: Engine, clock: Clock) -> None:
    keys = Keys(engine, clock)
    key, text = keys.add("ada", "laptop")
    assert text.startswith("sk-")
    assert keys.list("ada") == [Key("ada", "laptop", text[-4:], clock.now)]
    clock.now += 100
    assert keys.find(text) is not None
    assert keys.list("ada") == [Key("ada", "laptop", text[-4:], clock.now - 100, clock.now)]
    assert keys.list("bob") == []
    with pytest.raises(InvalidRequest, match="no key called laptop"):
        keys.revoke("bob", "laptop")
    keys.revoke("ada", "laptop")
    assert keys.find(text) is None
    assert keys.list("ada") == []
    assert key.owner == "ada"


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, "two\nlines"])
def test_a_key_has_a_name_one_can_read(engine: Engine, name: str) -> None:
    with pytest.raises(InvalidRequest, match="1 to 60 characters"):
        Keys(engine).add("ada", name)


def test_a_name_is_one_key_of_one_user(engine: Engine) -> None:
    keys = Keys(engine)
    keys.add("ada", "laptop")
    keys.add("bob", "laptop")
    with pytest.raises(InvalidRequest, match="already"):
        keys.add("ada", " laptop ")


def test_yesterdays_data_folder_gets_the_tables(tmp_path: Path) -> None:
    engine = connect(tmp_path / "studio.db")
    migrate(engine, "0004")
    assert not sa.inspect(engine).has_table("sessions")
    migrate(engine)
    assert Keys(engine).add("ada", "laptop")[0].name == "laptop"
    assert Sessions(engine, "key").find(Sessions(engine, "key").begin("ada", "proof")) is not None


def test_two_users_with_one_password_stay_two(engine: Engine) -> None:
    users = Users({"ada": "the same", "bob": "the same"}, b"key")
    assert users.knows("ada", "the same")
    assert users.knows("bob", "the same")
    assert users.proof("ada") != users.proof("bob")
    assert not users.knows("eve", "the same")
    assert users.proof("ada") == Users({"ada": "the same"}, b"key").proof("ada")
    assert users.proof("ada") != Users({"ada": "another"}, b"key").proof("ada")


def test_a_brake_lets_go_slowly(clock: Clock) -> None:
    brake = Brake(3, 20.0, clock)
    for _ in range(3):
        assert brake.wait_seconds("ada") == 0
        brake.count("ada")
    assert brake.wait_seconds("ada") == 20
    assert brake.wait_seconds("bob") == 0
    clock.now += 15
    assert brake.wait_seconds("ada") == 5
    clock.now += 5
    assert brake.wait_seconds("ada") == 0
    brake.count("ada")
    assert brake.wait_seconds("ada") == 20


def test_a_right_password_costs_nothing(clock: Clock) -> None:
    brakes = Brakes(clock)
    for _ in range(1000):
        assert brakes.wait_seconds("ada", "1.2.3.4") == 0
        brakes.was_right("ada", "1.2.3.4")


def test_an_address_is_braked_whatever_the_names_but_never_this_machine(clock: Clock) -> None:
    """Behind a tunnel or a proxy everybody comes from this machine."""
    brakes = Brakes(clock)
    waits = [brakes.wait_seconds(f"name {n}", "1.2.3.4") for n in range(31)]
    assert [wait for wait in waits if wait] == [5.0]
    assert not any(brakes.wait_seconds(f"name {n}", "127.0.0.1") for n in range(100))
    assert not any(brakes.wait_seconds(f"other {n}", "::ffff:127.0.0.1") for n in range(100))
    waits = [brakes.wait_seconds(f"next {n}", f"2001:db8::{n:x}") for n in range(31)]  # one person's /64
    assert [wait for wait in waits if wait] == [5.0]


def test_many_made_up_names_do_not_empty_a_full_bucket(clock: Clock) -> None:
    brake = Brake(3, 20.0, clock)
    for _ in range(3):
        brake.count("ada")
    for n in range(MOST + 10):
        brake.count(f"name {n}")
    assert brake.wait_seconds("ada") == 20
    assert len(brake._buckets) <= MOST


def test_what_belongs_to_all_is_the_first_logins(tmp_path: Path) -> None:
    shared = Settings(data_dir=tmp_path, auth="ada:one,bob:two")
    assert may(shared, "ada", "change_models")
    assert may(shared, "bob", "make")
    assert not may(shared, "bob", "change_models")
    with pytest.raises(Forbidden, match="Only ada may unload or pin models"):
        require(shared, "bob", "change_memory")
    assert may(Settings(data_dir=tmp_path, listen=True), "atelier", "see_machine")
    assert may(Settings(data_dir=tmp_path), "local", "change_models")


def test_a_database_that_takes_no_more_keeps_nobody_out(engine: Engine, clock: Clock) -> None:
    sessions, keys = Sessions(engine, "key", clock), Keys(engine, clock)
    cookie, (_, text) = sessions.begin("ada", "proof"), keys.add("ada", "laptop")
    clock.now += 2 * 24 * 3600  # both would note that they were used
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "PRAGMA query_only = ON"
        )  # this connection goes back into the pool as it is
    assert sessions.find(cookie) is not None
    assert keys.find(text) is not None
    assert keys.list("ada")[0].used_at is None
