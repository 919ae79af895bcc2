"""What the Redis operator is told: users with the rules of this machine, sentinels, and no secret in clear."""

from __future__ import annotations

import re

from components.on_kubernetes import Rendered, connections, rendered, secrets
from greenfield.components.redis.kubernetes import users
from greenfield.components.redis.users import rules
from greenfield.model.content import Secret
from greenfield.model.manifest import EDITION

USES = {"writer": {"cache": "write"}, "reader": {"cache": "read"}}


def cache(**settings: object) -> Rendered:
    """A cache that is watched."""
    return rendered("redis", settings, USES, name="cache", watched=True)


def test_the_file_of_users_holds_digests_and_the_rules_of_this_machine() -> None:
    """The operator's user may do anything; it knows no other name for it."""
    found = cache()
    content = users(found.resource, found.plan)
    passwords = [piece for piece in content if isinstance(piece, Secret)]
    assert [(each.name, each.form) for each in passwords] == [
        ("cache.default", "sha256"), ("cache.reader", "sha256"), ("cache.writer", "sha256"),
    ]  # fmt: skip
    lines = "".join("HASH" if isinstance(piece, Secret) else piece for piece in content).splitlines()
    assert lines[0] == "user default on sanitize-payload #HASH ~* &* +@all"
    assert lines[2] == f"user writer on sanitize-payload #HASH {' '.join(rules('writer', ['write']))}"


def test_each_service_finds_its_own_password_and_certificate() -> None:
    """In one folder; nothing is written out."""
    found = cache()
    mounted = found.side.mount("writer", found.resource, found.plan)
    assert set(mounted) == {"ca.crt", "tls.crt", "tls.key", "tls.pem", "password"}
    secret = found.manifests[f"Secret/{mounted['password'].name}"]
    assert list(secrets(secret)) == [Secret("cache.writer")]
    assert mounted["tls.crt"].name == found.spec("Certificate/cache.writer")["secretName"]


def test_the_file_of_users_leaves_room_for_its_edition() -> None:
    """Servers read it once, and sentinels the password: what the operator hands on to their pods starts them anew."""
    found = cache(nodes=2)
    for title in ("RedisReplication/cache", "RedisSentinel/cache"):
        assert found.manifests[title]["metadata"]["annotations"][EDITION] == ""


def test_more_than_one_server_has_sentinels_that_can_outvote_a_lost_one() -> None:
    """Numbers are words there. One server has none, and no budget."""
    found = cache(nodes=2)
    sentinel = found.spec("RedisSentinel/cache")
    assert (sentinel["clusterSize"], sentinel["redisSentinelConfig"]["quorum"]) == (3, "2")
    assert all(isinstance(value, str | dict) for value in sentinel["redisSentinelConfig"].values())
    assert found.spec("RedisReplication/cache")["pdb"] == {"enabled": True, "maxUnavailable": 1}
    single = cache()
    assert "RedisSentinel" not in single.kinds()
    assert "pdb" not in single.spec("RedisReplication/cache")


def test_everybody_shows_a_certificate() -> None:
    """The operator's own file makes that optional, and reads ours after it."""
    found = cache(nodes=3)
    for name in ("cache", "cache.sentinel"):
        (file,) = found.manifests[f"ConfigMap/{name}"]["data"].values()
        assert 'tls-auth-clients "yes"\n' in file
    replication = found.spec("RedisReplication/cache")
    assert replication["redisConfig"] == {"additionalRedisConfig": "cache"}
    assert replication["TLS"]["secret"] == {"secretName": "cache-tls"}
    assert "cache-master" in found.spec("Certificate/cache")["dnsNames"]
    assert found.cluster.doors["cache"].host == "cache-master"


def test_pods_are_restricted_hold_no_token_and_stay_out_of_the_mesh() -> None:
    """The one that writes the configuration, too."""
    found = cache(nodes=3)
    assert found.manifests["ServiceAccount/cache"]["automountServiceAccountToken"] is False
    for title in ("RedisReplication/cache", "RedisSentinel/cache"):
        spec = found.spec(title)
        assert found.manifests[title]["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
        assert spec["serviceAccountName"] == "cache"
        assert spec["podSecurityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["initContainer"]["securityContext"] == spec["securityContext"]
        assert spec["securityContext"]["readOnlyRootFilesystem"]
        assert set(spec["kubernetesConfig"]["resources"]) == {"requests", "limits"}
        assert re.search(r":v\d", spec["kubernetesConfig"]["image"])
    (chart,) = (each for each in found.side.charts(found.resource, found.plan) if each.name == "redis-operator")
    assert chart.values == {"featureGates.GenerateConfigInInitContainer": "true"}


def test_the_network_opens_what_the_operator_needs() -> None:
    """Sentinels are asked by the operator and by each other alone."""
    assert connections(cache(nodes=3).allows) == {
        ("redis-operator/redis-operator", "cache", (6379,)),
        ("monitoring/prometheus", "cache", (9121,)),
        ("cache", "cache", (6379,)),
        ("cache.sentinel", "cache", (6379,)),
        ("cache.sentinel", "cache.sentinel", (26379,)),
        ("redis-operator/redis-operator", "cache.sentinel", (26379,)),
    }
    assert len(cache().allows) == 2
