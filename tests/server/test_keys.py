"""API keys: what is let in, what is refused and why, how often one may ask."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertfeat.errors import ConfigError
from bertfeat_server.access.keys import KeyRing
from bertfeat_server.access.rates import Bucket

SECRET = "correct horse battery"


def write(path, text, mode=0o600):
    path.write_text(text, "utf-8")
    path.chmod(mode)
    return path


def test_keys_are_found_by_themselves_or_by_their_digest(tmp_path):
    digest = hashlib.sha256(b"another long secret").hexdigest()
    ring = KeyRing.read(
        write(tmp_path / "keys", f'[alice]\nkey = "{SECRET}"\n[bob]\nsha256 = "{digest}"\n')
    )
    assert ring.find(SECRET).name == "alice"
    assert ring.find("another long secret").name == "bob"
    for wrong in ("", SECRET + " ", SECRET.upper(), digest, "\ud800"):
        assert ring.find(wrong) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it holds no key"),
        ("[a]\n", r"\[a\] needs either key or sha256"),
        ('[a]\nkey = "short"\n', "at least 16 characters"),
        ('[a]\nsha256 = "12"\n', "64 hexadecimal"),
        (f'[a]\nkey = "{SECRET}"\nrate = 1\n', "rate is unknown"),
        (f'[a]\nkey = "{SECRET}"\nrequests_per_s = 0\n', "requests_per_s=0 is no positive"),
        ('a = "b"\n', r"\[a\] is no table"),
        ("[a", "cannot be read"),
    ],
)
def test_a_wrong_file_is_one_error_that_says_what(tmp_path, text, says):
    with pytest.raises(ConfigError, match=says):
        KeyRing.read(write(tmp_path / "keys", text))


def test_a_file_that_others_may_read_is_refused_without_its_keys(tmp_path):
    path = write(tmp_path / "keys", f'[a]\nkey = "{SECRET}"\n', 0o644)
    with pytest.raises(ConfigError, match="chmod 600") as caught:
        KeyRing.read(path)
    assert SECRET not in str(caught.value)


def test_a_key_may_ask_as_often_as_its_limit_says(tmp_path):
    text = f'[a]\nkey = "{SECRET}"\nrequests_per_s = 2\n'
    ring = KeyRing.read(write(tmp_path / "keys", text))
    key = ring.find(SECRET)
    assert [ring.wait_s(key, 10.0) for _ in range(3)] == [0, 0, 0.5]
    assert ring.wait_s(key, 10.5) == 0


@given(
    rate=st.floats(0.1, 100),
    steps=st.lists(st.tuples(st.floats(0, 2), st.floats(0.1, 5)), max_size=60),
)
def test_no_more_passes_than_the_rate_and_one_burst(rate, steps):
    bucket, now, passed = Bucket(rate), 0.0, 0.0
    for pause, amount in steps:
        now += pause
        amount = min(amount, bucket.burst)
        wait = bucket.wait_s(amount, now)
        assert wait >= 0
        if wait == 0:
            passed += amount
        else:
            assert bucket.wait_s(amount, now + wait + 1e-6) == 0
            now, passed = now + wait + 1e-6, passed + amount
        assert passed <= bucket.burst + rate * now + 1e-6
