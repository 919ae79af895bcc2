"""What a platform is, in words that both targets share: read from what each target was told, not from the plan.

But for one family: nothing limits a service on one machine, so its tier there is the plan's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from greenfield.components.kafka.roles import permissions as kafka_permissions
from greenfield.components.mysql.accounts import PRIVILEGES
from greenfield.model.content import Secret, plain
from greenfield.model.local import Claim, LeafClaim, Process, Reconcile, Task
from greenfield.model.manifest import Manifest
from greenfield.model.plan import Plan
from greenfield.model.quantity import TIERS
from greenfield.targets.kubernetes.object import Object

Fact = tuple[str, ...]
MESH = "cluster.local/"


@dataclass(frozen=True)
class Facts:
    """Everything that must be alike, by its family."""

    identities: frozenset[Fact]  # service, SPIFFE id
    routes: frozenset[Fact]  # prefix, service
    calls: frozenset[Fact]  # callee, caller's SPIFFE id, method, path
    topics: frozenset[Fact]  # topic, partitions, how long and how what is in them is kept
    messages: frozenset[Fact]  # user, topic or group, its name, operation
    cache: frozenset[Fact]  # store, user, rules
    databases: frozenset[Fact]  # store, user, database, access
    logins: frozenset[Fact]  # store, user, what its certificate says
    tiers: frozenset[Fact]  # resource, CPU and memory that it may take
    zones: frozenset[Fact]  # service, zone


# --- one machine ----------------------------------------------------------------------------------------------------


def on_this_machine(plan: Plan, claims: Iterable[Claim], things: Iterable[Process | Task]) -> Facts:
    """As claims, files of proxies and the input of tasks tell it."""
    listed = list(things)
    processes = [each for each in listed if isinstance(each, Process) and each.slot == 0]
    inputs = dict(filter(None, map(_granting, listed)))
    services = {resource.name for resource in plan.of_kind("service")}
    leaves = {claim.name: claim.identity for claim in claims if isinstance(claim, LeafClaim)}
    return Facts(
        identities=frozenset((name, leaves[name]) for name in services | {r.name for r in plan.of_kind("gateway")}),
        routes=frozenset(route for each in processes for route in _envoy_routes(each)),
        calls=frozenset(call for each in processes for call in _envoy_calls(each)),
        topics=frozenset(topic for each in inputs.values() for topic in _local_topics(each)),
        messages=frozenset(
            (right.principal, right.resource, right.name, right.operation)
            for each in inputs.values()
            for right in kafka_permissions(each["grants"] if "topics" in each else ())
        ),
        cache=frozenset(
            (store, user, " ".join(held["rules"]))
            for store, each in _of_stores(inputs)
            for user, held in each.get("users", {}).items()
        ),
        databases=frozenset(
            (store, _common_name(user), database, access)
            for store, each in _of_stores(inputs)
            for user, database, access in ([] if "topics" in each else each.get("grants", ()))
            if database != "*"
        ),
        logins=frozenset(
            (store, user, subject)
            for store, each in _of_stores(inputs)
            for user, subject in (each.get("subjects") or _subjects(each)).items()
        ),
        tiers=frozenset((r.name, *_tier(r.settings.size)) for r in plan.of_kind("service")),  # type: ignore[attr-defined]
        zones=frozenset((each.resource, each.zone) for each in processes if each.resource in services),
    )


def _granting(thing: Process | Task) -> tuple[str, Mapping[str, Any]] | None:
    """A task that adds grants, and its input."""
    if isinstance(thing, Task) and isinstance(thing.action, Reconcile) and thing.action.input.get("prune") is False:
        return thing.name, thing.action.input
    return None


def _of_stores(inputs: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for task, each in inputs.items():
        yield task.removesuffix("-grant"), each


def _local_topics(given: Mapping[str, Any]) -> Iterator[Fact]:
    for name, topic in given.get("topics", {}).items():
        yield name, str(topic["partitions"]), *_kept(topic["config"])


def _subjects(given: Mapping[str, Any]) -> dict[str, str]:
    """MongoDB's users are the subjects themselves."""
    subjects = {user for user, *_ in given.get("grants", ()) if "," in user and "OU=service" in user}
    return {_common_name(subject): subject for subject in subjects}


def _common_name(user: str) -> str:
    return user.removeprefix("CN=").partition(",")[0]


def _file(process: Process, name: str) -> Any:
    return next((json.loads(plain(file.content)) for file in process.files if file.path.endswith(f"/{name}")), None)


def _envoy_routes(process: Process) -> Iterator[Fact]:
    for table in (_file(process, "rds.json") or {"resources": []})["resources"]:
        for route in table["virtual_hosts"][0]["routes"]:
            match = route["match"]
            yield match.get("path_separated_prefix") or match["prefix"], route["route"]["cluster"]


def _envoy_calls(process: Process) -> Iterator[Fact]:
    for held in (_file(process, "authorization.json") or {"resources": []})["resources"]:
        for policy in held["typed_config"]["rules"].get("policies", {}).values():
            for caller in policy["principals"]:
                for permission in policy["permissions"]:
                    identity = caller["authenticated"]["principal_name"]["exact"]
                    yield process.resource, identity, *_envoy_request(permission)


def _envoy_request(permission: Mapping[str, Any]) -> Fact:
    if permission.get("any"):
        return "", ""
    method, path = permission["and_rules"]["rules"]
    asked = path["url_path"]["path"]
    wanted = f"{asked['prefix']}*" if "prefix" in asked else asked["exact"]
    return method["header"]["string_match"]["exact"], wanted


# --- a cluster ------------------------------------------------------------------------------------------------------


def on_kubernetes(plan: Plan, objects: Iterable[Object]) -> Facts:
    """As the objects tell it."""
    kinds: dict[str, list[Manifest]] = {}
    for each in objects:
        kinds.setdefault(each.kind, []).append(each.manifest)
    services = {resource.name for resource in plan.of_kind("service")}
    workloads = [each for each in kinds.get("Deployment", []) if each["metadata"]["name"] in services]
    accounts = {each["metadata"]["name"] for each in kinds.get("ServiceAccount", [])} | _gateways(kinds)
    return Facts(
        identities=frozenset(
            (name, f"spiffe://{MESH}ns/{plan.name}/sa/{name}")
            for name in accounts & (services | {r.name for r in plan.of_kind("gateway")})
        ),
        routes=frozenset(route for each in kinds.get("HTTPRoute", []) for route in _http_routes(each)),
        calls=frozenset(call for each in kinds.get("AuthorizationPolicy", []) for call in _mesh_calls(each, services)),
        topics=frozenset(_kafka_topic(each) for each in kinds.get("KafkaTopic", [])),
        messages=frozenset(right for each in kinds.get("KafkaUser", []) for right in _kafka_rights(each, services)),
        cache=frozenset(rule for each in kinds.get("Secret", []) for rule in _redis_rules(each, services)),
        databases=frozenset(_database_rights(kinds, services)),
        logins=frozenset(_logins(kinds)),
        tiers=frozenset((each["metadata"]["name"], *_resources(each)) for each in workloads),
        zones=frozenset((each["metadata"]["name"], zone) for each in workloads for zone in _zones(each, plan)),
    )


def _gateways(kinds: Mapping[str, list[Manifest]]) -> set[str]:
    """The accounts that Istio makes for gateways: named by an annotation."""
    annotation = "gateway.istio.io/service-account"
    found = [each["metadata"] for each in kinds.get("Gateway", [])]
    override = "gateway.istio.io/name-override"
    return {m.get("annotations", {}).get(annotation) or m.get("annotations", {}).get(override, "") for m in found}


def _http_routes(route: Manifest) -> Iterator[Fact]:
    for rule in route["spec"]["rules"]:
        for match in rule.get("matches", ()):
            for backend in rule.get("backendRefs", ()):
                yield match["path"]["value"], backend["name"]


def _mesh_calls(policy: Manifest, services: set[str]) -> Iterator[Fact]:
    callee = policy["metadata"]["name"]
    for rule in policy["spec"].get("rules", ()) if callee in services else ():
        callers = [f"spiffe://{principal}" for each in rule["from"] for principal in each["source"]["principals"]]
        for caller in callers:
            for each in rule["to"]:
                operation = each["operation"]
                for method in operation.get("methods", ("",)):
                    for path in operation.get("paths", ("",)):
                        yield callee, caller, method, path


def _kafka_topic(topic: Manifest) -> Fact:
    spec = topic["spec"]
    name = spec.get("topicName", topic["metadata"]["name"])
    return name, str(spec["partitions"]), *_kept(spec["config"])


def _kept(config: Mapping[str, Any]) -> Fact:
    """A topic's configuration, but for copies, which the brokers are told here."""
    return tuple(f"{key}={value}" for key, value in sorted(config.items()) if key != "min.insync.replicas")


def _kafka_rights(user: Manifest, services: set[str]) -> Iterator[Fact]:
    name = user["metadata"]["name"].partition(".")[2]
    for acl in user["spec"]["authorization"]["acls"] if name in services else ():
        for operation in acl["operations"]:
            yield f"User:{name}", acl["resource"]["type"], acl["resource"]["name"], operation.upper()


def _redis_rules(secret: Manifest, services: set[str]) -> Iterator[Fact]:
    content = secret["stringData"].get("user.acl", ())
    text = "".join("SECRET" if isinstance(piece, Secret) else piece for piece in content)
    for line in text.splitlines():
        _, user, *rules = line.split(" ")
        if user in services:
            kept = " ".join(rule for rule in rules if rule not in ("on", "sanitize-payload", "#SECRET"))
            yield secret["metadata"]["name"].partition(".")[0], user, kept


def _database_rights(kinds: Mapping[str, list[Manifest]], services: set[str]) -> Iterator[Fact]:
    for role in kinds.get("DatabaseRole", ()):
        spec = role["spec"]
        for group in spec.get("inRoles", ()) if spec["name"] in services else ():
            database, _, access = group.rpartition(":")
            yield spec["cluster"]["name"], spec["name"], database, access
    for grant in kinds.get("Grant", ()):
        spec = grant["spec"]
        (access,) = (name for name, held in PRIVILEGES.items() if set(held) == set(spec["privileges"]))
        yield spec["mariaDbRef"]["name"], spec["username"], spec["database"], access
    for store in kinds.get("MongoDBCommunity", ()):
        for user in store["spec"]["users"]:
            name = _common_name(user["name"])
            for role in user["roles"] if name in services else ():
                yield store["metadata"]["name"], name, role["db"], role["name"].removeprefix("greenfield-")


def _logins(kinds: Mapping[str, list[Manifest]]) -> Iterator[Fact]:
    for user in kinds.get("User", ()):
        spec = user["spec"]
        if "OU=service" in spec["require"]["subject"]:
            yield spec["mariaDbRef"]["name"], spec["name"], spec["require"]["subject"]
    for store in kinds.get("MongoDBCommunity", ()):
        for user in store["spec"]["users"]:
            if "OU=service" in user["name"]:
                yield store["metadata"]["name"], _common_name(user["name"]), user["name"]


def _resources(workload: Manifest) -> Fact:
    (app,) = (each for each in workload["spec"]["template"]["spec"]["containers"] if each["name"] == "app")
    asked = app["resources"]
    return tuple(asked[side][what] for side in ("requests", "limits") for what in ("cpu", "memory"))


def _zones(workload: Manifest, plan: Plan) -> Iterable[str]:
    """Those that the spread reaches: as many as there are replicas, one after the other."""
    spec = workload["spec"]
    spread = {each["topologyKey"] for each in spec["template"]["spec"]["topologySpreadConstraints"]}
    replicas = len(plan.resource(workload["metadata"]["name"]).members)
    return plan.zones[:replicas] if "topology.kubernetes.io/zone" in spread else ()


def _tier(size: str) -> Fact:
    tier = TIERS[size]
    return f"{tier.cpu_request}m", f"{tier.memory_request}Mi", f"{tier.cpu_limit}m", f"{tier.memory_limit}Mi"
