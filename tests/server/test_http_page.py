"""The status page and the page of routes, in a real browser."""

import shutil
import subprocess

import pytest
from http_served import http_server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]


def rendered(url, tmp_path, *options):
    """Return the page as it stands after four seconds of its own time."""
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}",
        "--virtual-time-budget=4000", "--window-size=900,900", *options,
    ]  # fmt: skip
    done = subprocess.run([*command, url], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def http(tmp_path_factory):
    with http_server(tmp_path_factory.mktemp("page")) as (_, client):
        client.post("/encode", json={"texts": ["a", "b", "c"]})
        yield client


def test_the_status_page_shows_the_server(http, tmp_path):
    page = rendered(f"{http.base_url}/", tmp_path, "--dump-dom")
    assert 'id="state" class="ready"' in page
    assert "<td>ready</td>" in page
    assert '<dd id="fill">3</dd>' in page
    assert '<dd id="texts">–</dd>' not in page
    assert 'points=""' not in page


def test_the_page_is_dark_where_that_is_preferred(http, tmp_path):
    shots = []
    for name, options in (("light", []), ("dark", ["--blink-settings=preferredColorScheme=0"])):
        shot = tmp_path / f"{name}.png"
        rendered(f"{http.base_url}/", tmp_path / name, f"--screenshot={shot}", *options)
        shots.append(shot.read_bytes())
    assert all(shot.startswith(b"\x89PNG") for shot in shots)
    assert shots[0] != shots[1]


def test_the_page_of_routes_lists_them(http, tmp_path):
    page = rendered(f"{http.base_url}/docs", tmp_path, "--dump-dom")
    for route in ("POST /encode", "POST /v1/embeddings", "GET /metrics"):
        assert f"<code>{route} </code>" in page
    assert "default &quot;float&quot;" in page or 'default "float"' in page
