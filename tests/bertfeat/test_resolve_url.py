"""Models behind a URL with its sha256, from a server of this machine."""

import hashlib
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from bertfeat import Encoder
from bertfeat.checkpoints import resolve
from bertfeat.errors import CheckpointError, ModelNotFound
from bertfeat_server.config import ServerConfig


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder that is served over HTTP, and its address; the cache is another, empty one."""
    monkeypatch.setenv("BERTFEAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def with_sha256(url, path):
    return f"{url}/{path.name}#sha256={hashlib.sha256(path.read_bytes()).hexdigest()}"


@pytest.mark.parametrize("form", ["gztar", "zip"])
@pytest.mark.parametrize("nested", [True, False])
def test_an_archive_is_fetched_once_and_loads(site, tiny_bert, tmp_path, form, nested):
    folder, url = site
    model = tiny_bert(seed=2)
    base = {"base_dir": model.name} if nested else {}
    root = model.parent if nested else model
    name = with_sha256(url, folder / shutil.make_archive(folder / "small", form, root, **base))
    found = Encoder.load(name)
    expected = Encoder.load(model).encode("the cat", pooling="mean")
    np.testing.assert_array_equal(found.encode("the cat", pooling="mean"), expected)
    shutil.rmtree(folder)
    assert resolve(name) == resolve(name, offline=True) == found.folder
    assert list((tmp_path / "cache" / "partial").iterdir()) == []


def test_another_content_is_refused_and_leaves_nothing(site, tmp_path):
    folder, url = site
    (folder / "small.zip").write_bytes(b"not what was promised")
    with pytest.raises(CheckpointError, match="is refused: expected sha256 0000"):
        resolve(f"{url}/small.zip#sha256={'0' * 64}")
    assert not (tmp_path / "cache" / "models").exists()


@pytest.mark.parametrize("content", [b"no archive at all", None])
def test_what_is_no_model_is_a_clear_error(site, tmp_path, content):
    folder, url = site
    path = folder / "small.tar"
    if content is None:
        (tmp_path / "empty").mkdir()
        (tmp_path / "empty" / "readme.txt").write_text("nothing here")
        shutil.make_archive(folder / "small", "tar", tmp_path / "empty")
    else:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match="small.tar (is no tar or zip|holds no model)"):
        resolve(with_sha256(url, path))


def test_an_address_without_sha256_or_answer_or_network_is_told(site):
    _, url = site
    with pytest.raises(ModelNotFound, match="expected https://HOST/"):
        resolve(f"{url}/small.zip")
    with pytest.raises(ModelNotFound, match="cannot be fetched: .*404"):
        resolve(f"{url}/small.zip#sha256={'0' * 64}")
    with pytest.raises(ModelNotFound, match="the network may not be used"):
        resolve(f"{url}/small.zip#sha256={'0' * 64}", offline=True)


def test_a_server_names_such_a_model_by_its_file():
    url = f"https://models.example/small-lite.tar.gz#sha256={'0' * 64}"
    assert ServerConfig(model=(url,)).models == {"small-lite": url}
    assert ServerConfig(model=(f"mine={url}",)).models == {"mine": url}
