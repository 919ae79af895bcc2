"""What an API server refused, in words: what, why, and what to do. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from greenfield.errors import ClusterError
from greenfield.targets.kubernetes.live.api import Refusal
from greenfield.targets.kubernetes.text import documents

ROLE: Final = "greenfield-deploy"
VERBS: Final = ("get", "list", "create", "patch", "delete")  # what deploy asks for


@dataclass(frozen=True)
class Refused:
    """A request that was refused: for which object, ``Kind/name``, of which namespace."""

    title: str
    namespace: str
    refusal: Refusal


@dataclass(frozen=True)
class Words:
    """A refusal explained: ``sentence`` for the one object, ``hint`` for all that are refused alike."""

    sentence: str
    hint: str = ""


def explained(refused: Iterable[Refused], *, changed: bool = False) -> ClusterError:
    """One error for all of them. ``changed``: something was applied before."""
    found = list(refused)
    words = [_words(each) for each in found]
    forbidden = [each for each in found if _FORBIDDEN.search(each.refusal.message)]
    hints = list(dict.fromkeys(each.hint for each in words if each.hint))
    if forbidden:
        hints.append(f"an administrator may allow it:\n{_role(forbidden)}")
    log = list(dict.fromkeys(f"{each.title}: {word.sentence}" for each, word in zip(found, words, strict=True)))
    after = "" if changed else " Nothing was changed."
    message = log[0] if len(log) == 1 else f"The cluster refused {len(log)} objects."
    ended = message if message.endswith(".") else f"{message}."
    return ClusterError(f"{ended}{after}", hint="\n      ".join(hints), log=tuple(log) if len(log) > 1 else ())


def _words(refused: Refused) -> Words:
    for rule in _RULES:
        if (words := rule(refused)) is not None:
            return words
    return Words(refused.refusal.message)


# --- who may do what ------------------------------------------------------------------------------------------------

_FORBIDDEN = re.compile(
    r'[Uu]ser "(?P<who>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)")?'
)


def _unknown(refused: Refused) -> Words | None:
    if refused.refusal.code != 401:
        return None
    return Words("the cluster does not know who asks", "log in again: the token or certificate of this context ended")


def _forbidden(refused: Refused) -> Words | None:
    if not (found := _FORBIDDEN.search(refused.refusal.message)):
        return None
    where = f"in namespace {found['namespace']}" if found["namespace"] else "in the whole cluster"
    resource = f"{found['resource']}.{found['group']}" if found["group"] else found["resource"]
    return Words(f"{found['who']} may not {found['verb']} {resource} {where}")


def _role(forbidden: Sequence[Refused]) -> str:
    """Roles that allow what was forbidden, one for each namespace, and who is to have them."""
    rules: dict[str, dict[str, set[str]]] = {}
    who = ""
    for each in forbidden:
        found = _FORBIDDEN.search(each.refusal.message)
        assert found is not None
        who = found["who"]
        rules.setdefault(found["namespace"] or "", {}).setdefault(found["group"], set()).add(found["resource"])
    return documents(manifest for place, groups in sorted(rules.items()) for manifest in _pair(place, groups, who))


def _pair(namespace: str, groups: dict[str, set[str]], who: str) -> Iterable[dict[str, Any]]:
    prefix = "" if namespace else "Cluster"
    metadata = {"name": ROLE, **({"namespace": namespace} if namespace else {})}
    api = "rbac.authorization.k8s.io"
    account = re.fullmatch(r"system:serviceaccount:([^:]+):([^:]+)", who)
    subject = (
        {"kind": "ServiceAccount", "namespace": account[1], "name": account[2]}
        if account
        else {"apiGroup": api, "kind": "User", "name": who}
    )
    yield {
        "apiVersion": f"{api}/v1",
        "kind": f"{prefix}Role",
        "metadata": metadata,
        "rules": [
            {"apiGroups": [group], "resources": sorted(resources), "verbs": list(VERBS)}
            for group, resources in sorted(groups.items())
        ],
    }
    yield {
        "apiVersion": f"{api}/v1",
        "kind": f"{prefix}RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": api, "kind": f"{prefix}Role", "name": ROLE},
        "subjects": [subject],
    }


# --- what admission says --------------------------------------------------------------------------------------------


def _quota(refused: Refused) -> Words | None:
    found = re.search(
        r"exceeded quota: (?P<name>[^,]+), requested: (?P<asked>.*?), used: (?P<used>.*?), limited: (?P<limit>.*)",
        refused.refusal.message,
    )
    if not found:
        return None
    sentence = f"quota {found['name']} allows {found['limit']}, of which {found['used']} is used, and this asks for"
    return Words(f"{sentence} {found['asked']}", "raise the quota, or ask for less: `size`, `replicas`, `storage`")


def _pod_security(refused: Refused) -> Words | None:
    _, found, why = refused.refusal.message.partition("violates PodSecurity ")
    if not found:
        return None
    return Words(
        f"the namespace's Pod Security refuses it: {why}", "what we render meets `restricted`: does a patch undo it?"
    )


def _terminating(refused: Refused) -> Words | None:
    if "because it is being terminated" not in refused.refusal.message:
        return None
    return Words(
        f"namespace {refused.namespace} is being deleted",
        f"wait until it is gone: kubectl wait --for=delete namespace/{refused.namespace}",
    )


_WEBHOOK = re.compile(r'failed calling webhook "(?P<name>[^"]+)": (?P<why>.*)', re.DOTALL)
_CALLED = re.compile(r'"?https://(?P<service>[^./"]+)\.(?P<namespace>[^./"]+)\.svc:(?P<port>\d+)[^ ]*: (?P<why>.*)')


def _webhook_away(refused: Refused) -> Words | None:
    if not (found := _WEBHOOK.search(refused.refusal.message)):
        return None
    if not (called := _CALLED.search(found["why"])):
        return Words(f"the webhook {found['name']} does not answer: {found['why']}")
    service, namespace = called["service"], called["namespace"]
    return Words(
        f"the webhook {found['name']} (Service {service} in {namespace}) does not answer: {called['why']}",
        f"is its operator up? kubectl -n {namespace} get pods. Else a firewall or network policy keeps the API server"
        f" from the pods behind port {called['port']}",
    )


def _webhook_denied(refused: Refused) -> Words | None:
    found = re.search(r'admission webhook "([^"]+)" denied the request: (.*)', refused.refusal.message, re.DOTALL)
    return Words(f"the webhook {found[1]} says: {found[2]}") if found else None


# --- what is wrong with the object ----------------------------------------------------------------------------------


def _conflict(refused: Refused) -> Words | None:
    causes = [each for each in refused.refusal.causes if each.get("reason") == "FieldManagerConflict"]
    if not causes:
        return None
    held = [f"{each.get('field')} is managed by {_manager(str(each.get('message')))}" for each in causes]
    return Words(
        "; ".join(held),
        "--force-conflicts takes these fields over; or leave the change to the other: undo it there, or patch ours",
    )


def _manager(message: str) -> str:
    """``conflict with "kubectl-edit" using apps/v1 at …``: the manager, and when it wrote."""
    found = re.search(r'conflict with "([^"]+)"(?: with subresource "([^"]+)")?(?:.* at ([0-9TZ:+-]+))?', message)
    if not found:
        return message
    with_ = f" (through {found[2]})" if found[2] else ""
    return f"{found[1]}{with_}{f' since {found[3]}' if found[3] else ''}"


_IMMUTABLE = re.compile(r"immutable|updates to statefulset spec for fields other than|may not change once set")


def _immutable(refused: Refused) -> Words | None:
    refusal = refused.refusal
    if refusal.code != 422 or not _IMMUTABLE.search(refusal.message):
        return None
    fields = ", ".join(dict.fromkeys(str(each.get("field")) for each in refusal.causes)) or "a field"
    kind, _, name = refused.title.partition("/")
    delete = f"kubectl -n {refused.namespace} delete {kind.lower()} {name}"
    if kind == "StatefulSet":
        return Words(
            f"{fields} cannot change", f"{delete} --cascade=orphan, then deploy again: its pods and volumes stay"
        )
    return Words(f"{fields} cannot change", f"{delete}, then deploy again; what it runs or keeps is gone meanwhile")


def _too_long(refused: Refused) -> Words | None:
    found = re.search(r"must be no more than (\d+) (?:characters|bytes)", refused.refusal.message)
    if not found:
        return None
    fields = ", ".join(dict.fromkeys(str(each.get("field")) for each in refused.refusal.causes)) or "its name"
    return Words(
        f"{fields} is longer than the {found[1]} characters that it may have",
        "give the platform, or what the object is named after, a shorter name",
    )


def _unknown_field(refused: Refused) -> Words | None:
    message = refused.refusal.message
    fields = re.findall(r'unknown field "([^"]+)"', message) or re.findall(
        r"(\.\S+): field not declared in schema", message
    )
    if not fields:
        return None
    return Words(
        f"this cluster does not know {', '.join(dict.fromkeys(fields))}",
        "does a patch write it? Else the operator there is of another version than `greenfield render` names",
    )


def _invalid(refused: Refused) -> Words | None:
    causes = refused.refusal.causes
    if refused.refusal.code != 422 or not causes:
        return None
    return Words("; ".join(f"{each.get('field')}: {each.get('message')}" for each in causes))


def _nowhere(refused: Refused) -> Words | None:
    if refused.refusal.code != 404 or refused.refusal.details.get("kind") != "namespaces":
        return None
    name = refused.refusal.details.get("name")
    return Words(f"there is no namespace {name}", "install what `greenfield render -o DIR` lists before the platform")


_RULES: Final[tuple[Callable[[Refused], Words | None], ...]] = (
    _unknown,
    _forbidden,
    _quota,
    _pod_security,
    _terminating,
    _webhook_away,
    _webhook_denied,
    _conflict,
    _immutable,
    _too_long,
    _unknown_field,
    _invalid,
    _nowhere,
)
"""From the particular to the general: the first that knows it speaks."""
