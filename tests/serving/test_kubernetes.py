"""deploy/paddleserving/kubernetes: each manifest against the schemas of Kubernetes, and all against each other."""

import copy
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import yaml

from ppcls_lite.serving.config import load_service_config
from tests.helpers.nginx import need
from tests.helpers.scripts import LIMIT, ROOT
from tests.helpers.service import Service
from tests.helpers.shell import wait_for

FOLDER = ROOT / "deploy/paddleserving/kubernetes"
NOT_KUBECTL = {"prometheus_adapter.yaml"}
VERSIONS = ["1.30", "1.37"]
KINDS = {"ConfigMap", "Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"}


def read():
    """{(kind, name): manifest}"""
    paths = [path for path in sorted(FOLDER.glob("*.yaml")) if path.name not in NOT_KUBECTL]
    listed = [manifest for path in paths for manifest in yaml.safe_load_all(path.read_text())]
    found = {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in listed}
    assert len(found) == len(listed)
    return found


MANIFESTS = read()


def of_kind(manifests, kind):
    return [manifest for (its_kind, _), manifest in manifests.items() if its_kind == kind]


def fault_of_schema(manifest, version):
    """What Kubernetes of that version would say; "" for nothing."""
    schemas = pytest.importorskip("kubernetes_validate", reason="no kubernetes-validate: tests/requirements.txt")
    try:
        schemas.validate(manifest, version, strict=True)
    except schemas.ValidationError as error:
        return f"{'.'.join(map(str, error.path))}: {error.message}"
    return ""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("key", MANIFESTS, ids="/".join)
def test_kubernetes_has_no_objection(key, version):
    assert fault_of_schema(MANIFESTS[key], version) == ""


def test_every_kind_is_there():
    assert {kind for kind, _ in MANIFESTS} == KINDS


def changed(kind, change):
    """A manifest of that kind after `change(manifest)`."""
    manifest = copy.deepcopy(of_kind(MANIFESTS, kind)[0])
    change(manifest)
    return manifest


def misspell(manifest):
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    container["readynessProbe"] = container.pop("readinessProbe")


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("Deployment", misspell, "readynessProbe"),
        ("Deployment", lambda m: m["spec"].update(minReadySeconds="five"), "'five' is not"),
        ("Deployment", lambda m: m["spec"].pop("selector"), "'selector' is a required property"),
        ("Service", lambda m: m["spec"]["ports"][0].update(port="http"), "'http' is not"),
        ("HorizontalPodAutoscaler", lambda m: m["spec"].pop("maxReplicas"), "'maxReplicas' is a required property"),
        ("ConfigMap", lambda m: m["data"].update({"config.yml": {"host": "a"}}), "is not of type"),
    ],
)
def test_a_wrong_manifest_would_be_seen(kind, change, said):
    assert said in fault_of_schema(changed(kind, change), VERSIONS[-1])


def faults(manifests):
    """What does not fit together: [a text]."""
    (deployment,), (autoscaler,) = of_kind(manifests, "Deployment"), of_kind(manifests, "HorizontalPodAutoscaler")
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    labels, ports = pod["metadata"]["labels"], {port["name"]: port["containerPort"] for port in container["ports"]}
    found = [
        f"{key}: selects {wanted}, and pods have {labels}"
        for key, manifest in manifests.items()
        for wanted in selectors_of(manifest)
        if not wanted.items() <= labels.items()
    ]
    used = [port["targetPort"] for service in of_kind(manifests, "Service") for port in service["spec"]["ports"]]
    used += [container[probe]["httpGet"]["port"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
    found += [f"port {port} is none of the pod's" for port in used if port not in ports]
    if pod["metadata"]["annotations"]["prometheus.io/port"] != str(ports["http"]):
        found.append("Prometheus asks another port")
    config = config_of(manifests)
    if [ports["http"], ports["grpc"]] != [config["http_port"], config["rpc_port"]]:
        found.append("the ports are not those of config.yml")
    if container["resources"]["requests"]["cpu"] != str(config["op"]["imagenet"]["concurrency"]):
        found.append("the processors are not the engines of config.yml")
    if autoscaler["spec"]["scaleTargetRef"]["name"] != deployment["metadata"]["name"]:
        found.append("the autoscaler scales something else")
    (budget,) = of_kind(manifests, "PodDisruptionBudget")
    if budget["spec"]["maxUnavailable"] >= autoscaler["spec"]["minReplicas"]:
        found.append("all pods may be away at once")
    grace = pod["spec"]["terminationGracePeriodSeconds"]
    needed = int(container["lifecycle"]["preStop"]["exec"]["command"][1]) + config.get("grace_seconds", 10)
    if grace <= needed:
        found.append(f"the pod is killed after {grace} s, and its end may take {needed} s")
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    if mounts != set(volumes) or ("ConfigMap", volumes["config"]["configMap"]["name"]) not in manifests:
        found.append("a volume that is not there")
    return found


def selectors_of(manifest):
    """The labels that a manifest selects pods by."""
    selector = manifest.get("spec", {}).get("selector")
    return [selector.get("matchLabels", selector)] if selector else []


def config_of(manifests):
    (config,) = of_kind(manifests, "ConfigMap")
    return yaml.safe_load(config["data"]["config.yml"])


def test_all_fit_together():
    assert faults(MANIFESTS) == []


PLANTED = {
    "selects": lambda m: m["Service", "digits"]["spec"]["selector"].update(app="other"),
    "port web is none": lambda m: m["Service", "digits"]["spec"]["ports"][0].update(targetPort="web"),
    "Prometheus asks": lambda m: pod_of(m)["metadata"]["annotations"].update({"prometheus.io/port": "80"}),
    "not those of config.yml": lambda m: container_of(m)["ports"][0].update(containerPort=80),
    "the processors": lambda m: container_of(m)["resources"]["requests"].update(cpu="1"),
    "something else": lambda m: m["HorizontalPodAutoscaler", "digits"]["spec"]["scaleTargetRef"].update(name="a"),
    "away at once": lambda m: m["HorizontalPodAutoscaler", "digits"]["spec"].update(minReplicas=1),
    "killed after 15 s": lambda m: pod_of(m)["spec"].update(terminationGracePeriodSeconds=15),
    "a volume": lambda m: pod_of(m)["spec"]["volumes"][0]["configMap"].update(name="other"),
}


def pod_of(manifests):
    return manifests["Deployment", "digits"]["spec"]["template"]


def container_of(manifests):
    return pod_of(manifests)["spec"]["containers"][0]


@pytest.mark.parametrize("said", PLANTED)
def test_what_does_not_fit_would_be_seen(said):
    manifests = copy.deepcopy(MANIFESTS)
    PLANTED[said](manifests)
    assert any(said in fault for fault in faults(manifests))


def test_the_service_reads_its_config(tmp_path):
    (tmp_path / "config.yml").write_text(of_kind(MANIFESTS, "ConfigMap")[0]["data"]["config.yml"])
    found = load_service_config(tmp_path / "config.yml")
    own = load_service_config(ROOT / "deploy/paddleserving/config.yml")
    assert (found.names, found.limits, found.grace_seconds) == (own.names, own.limits, own.grace_seconds)
    assert set(found.config) | {"host"} == set(own.config)  # a container's is 0.0.0.0


@pytest.fixture(scope="module")
def asked(converted, tmp_path_factory):
    """{path: the status of a GET} of a running service, for each path that the manifests name."""
    probes = [container_of(MANIFESTS)[name] for name in ("startupProbe", "readinessProbe", "livenessProbe")]
    paths = {probe["httpGet"]["path"] for probe in probes}
    paths.add(pod_of(MANIFESTS)["metadata"]["annotations"]["prometheus.io/path"])
    service = Service(tmp_path_factory.mktemp("probed"), converted)
    url = f"http://127.0.0.1:{service.port}"
    found = {path: requests.get(url + path, timeout=60) for path in paths}
    assert service.stop() == 0
    return found


@pytest.mark.parametrize("path", ["/live", "/ready", "/metrics"])
def test_the_service_answers_what_it_is_asked(asked, path):
    assert asked[path].status_code == 200


def test_the_metric_is_that_of_the_autoscaler():
    (rule,) = yaml.safe_load((FOLDER / "prometheus_adapter.yaml").read_text())["rules"]["custom"]
    (metric,) = of_kind(MANIFESTS, "HorizontalPodAutoscaler")[0]["spec"]["metrics"]
    name = metric["pods"]["metric"]["name"]
    assert rule["name"] == {"matches": f"^{name}$", "as": name}
    assert rule["seriesQuery"].startswith(f"{name}{{")


def test_the_service_has_the_metric(asked):
    assert "\nserving_queue_length" in asked["/metrics"].text


# As in a pod: nothing can be written but /tmp, the user is no one, and has no rights. PORT is that of a probe.
POD = """
mount -t tmpfs none /mnt && mkdir /mnt/workspace /mnt/model || exit 77
mount --bind "$ROOT" /mnt/workspace && mount --bind "$MODEL" /mnt/model && mount -o remount,bind,ro / || exit 77
mount -o remount,bind,ro /mnt/workspace && mount -t tmpfs none /tmp || exit 77
cd /mnt/workspace || exit 77
chmod 1777 /tmp
setpriv --reuid "$USER_ID" --regid "$GROUP_ID" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \\
    bash -c 'touch deploy/file 2>/dev/null && exit 3; exec bash deploy/docker/run.sh "$@"' \\
    run.sh "$@" http_port=0 rpc_port=0
"""


def test_the_service_needs_no_more_than_a_pod_gives(exported, tmp_path):
    need("unshare", "setpriv", "mount")
    if os.geteuid() != 0:
        pytest.skip("only root makes such a place")
    pod, container = pod_of(MANIFESTS)["spec"], container_of(MANIFESTS)
    assert container["securityContext"]["readOnlyRootFilesystem"]
    user = {"USER_ID": pod["securityContext"]["runAsUser"], "GROUP_ID": pod["securityContext"]["runAsGroup"]}
    python = Path(sys.executable)
    if python.is_relative_to(ROOT):
        python = "/mnt/workspace" / python.relative_to(ROOT)
    places = {"ROOT": ROOT, "MODEL": exported.model, "TIPC_PYTHON": python}
    own = {entry["name"]: entry["value"] for entry in container["env"]}
    command, folder = container["args"]
    log = tmp_path / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            ["unshare", "--mount", "bash", "-c", POD, "pod", command, f"/mnt{folder}"],
            env={**os.environ, **{key: str(value) for key, value in {**user, **places, **own}.items()}},
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for(lambda: "listening: " in log.read_text() or process.poll() is not None)
        if process.poll() == 77:
            pytest.skip(log.read_text().strip().splitlines()[-1])
        found = re.search(r"listening: http://0\.0\.0\.0:(\d+)/imagenet/prediction", log.read_text())
        assert found, log.read_text()
        assert requests.get(f"http://127.0.0.1:{found[1]}/imagenet/ready", timeout=60).status_code == 200
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(LIMIT) in (0, -signal.SIGTERM)


def test_the_image_serves_the_folder_that_it_holds():
    lines = [line for line in (FOLDER / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    assert lines[:2] == ["FROM ppcls_lite:cpu", "COPY . /model"]
    words = json.loads(lines[2].partition(" ")[2])
    assert words == container_of(MANIFESTS)["args"] == ["serve", "/model"]
