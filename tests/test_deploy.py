"""The files under deploy/: they parse, and what they name exists."""

import configparser
import re

import pytest

from bertfeat_server.commands import group
from source_tree import ROOT

DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.iterdir() if path.name != "README.md")
START = {p.name: p for p in group.commands["start"].params}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_options_and_variables_exist(path):
    text = path.read_text("utf-8")
    lines = [line for line in text.splitlines() if "bertfeat-serve" in line or "start" in line]
    named = set(re.findall(r"--[a-z][a-z-]+", " ".join(lines))) - {"--start-period", "--system"}
    known = {name for parameter in START.values() for name in parameter.opts}
    assert named - known - {"--interval", "--timeout"} == set()
    variables = set(re.findall(r"BERTFEAT_SERVE_(\w+)", text))
    assert {name.lower() for name in variables} <= set(START)


def test_the_image_copies_what_there_is():
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    copies = re.findall(r"^COPY (?!--from)(.+)$", text, re.M)
    sources = [name for copy in copies for name in copy.split()[:-1]]
    assert len(sources) > 5 and [name for name in sources if not (ROOT / name).exists()] == []
    assert {"bertfeat", "client", "server", "tools", "setup.py"} <= set(sources)


def test_the_image_runs_as_nobody_special_and_says_how_it_is():
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    after = text[text.rindex("FROM ") :]
    assert re.search(r"^USER 10001$", after, re.M) and "HEALTHCHECK" in after
    assert "--require-hashes" in text and "serve.lock" in text


def test_the_unit_is_closed():
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str
    unit.read(DEPLOY / "bertfeat-serve.service")
    service = unit["Service"]
    assert service["ProtectSystem"] == "strict" and service["NoNewPrivileges"] == "yes"
    assert "--api-key-file" in service["ExecStart"] and service["User"] == "bertfeat"


def test_compose_mounts_a_key_file_and_reads_only():
    yaml = pytest.importorskip("yaml")
    [service] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"].values()
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    key_file = service["command"][service["command"].index("--api-key-file") + 1]
    assert any(f":{key_file}:ro" in str(volume) for volume in service["volumes"])
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_kubernetes_probes_real_routes_with_real_ports():
    yaml = pytest.importorskip("yaml")
    objects = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text("utf-8")))
    assert [one["kind"] for one in objects] == [
        "Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"
    ]  # fmt: skip
    pod = objects[0]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"zeromq": START["port"].default, "http": 8125}
    routes = {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness")}
    assert routes == {"/ready"} and container["livenessProbe"]["httpGet"]["path"] == "/health"
    for one in (container, *pod["initContainers"]):
        assert one["securityContext"]["readOnlyRootFilesystem"] is True
    mounts = {
        mount["name"]
        for one in (container, *pod["initContainers"])
        for mount in one["volumeMounts"]
    }
    assert mounts == {volume["name"] for volume in pod["volumes"]}
