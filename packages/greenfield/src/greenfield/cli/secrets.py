"""``secrets``: what is secret, and sealing it for a cluster."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from greenfield.cli.options import Options, with_options
from greenfield.cli.output import aligned, emit, emit_json, say
from greenfield.errors import ArgumentError, UnsealedError

if TYPE_CHECKING:
    from greenfield.targets.kubernetes.sealing import Place, Scope, Sealed


@click.group()
def secrets() -> None:
    """Secrets: new passwords here; for Kubernetes which there are, sealed so that only the cluster opens them."""


@secrets.command(name="list")
@with_options
def list_(options: Options) -> None:
    """Every secret that the cluster needs, where it is held, and whether it is sealed."""
    from greenfield.cli.rendered import planned_for_cluster
    from greenfield.targets.kubernetes import sealed_file
    from greenfield.targets.kubernetes.objects import unsealed
    from greenfield.targets.kubernetes.sealing import is_secret, missing, wanted

    planned = planned_for_cluster(options)
    manifests = [each.manifest for each in unsealed(planned.plan, planned.catalogue) if is_secret(each.manifest)]
    sealed = sealed_file.read(sealed_file.place(planned.plan.root, planned.plan.environment))
    lacking = set(missing(manifests, sealed))
    pairs = sorted((name, m["metadata"]["name"]) for m in manifests for name in wanted(m))
    rows = [{"name": name, "secret": held, "sealed": (held, name) not in lacking} for name, held in pairs]
    if options.json:
        emit_json({"secrets": rows})
    elif rows:
        head = ("NAME", "HELD BY", "SEALED")
        emit(aligned([head, *((r["name"], r["secret"], "yes" if r["sealed"] else "no") for r in rows)]))
    else:
        say("nothing is secret here")


@secrets.command()
@with_options
@click.option("--cert", "certificate", metavar="FILE", required=True, help="The cluster's certificate.")
@click.option("--scope", type=click.Choice(("strict", "namespace", "cluster")), default="strict", show_default=True)
@click.option("--value", "values", metavar="NAME=FILE", multiple=True, help="A secret of your own; - reads stdin.")
@click.option("--note", default="", help="What a person should know of this certificate; kept in the file.")
def seal(options: Options, certificate: str, scope: Scope, values: tuple[str, ...], note: str) -> None:
    """Make the secrets that are not there yet and seal them for the cluster that holds the certificate's key.

    What is sealed stays as it is. Another certificate, scope or namespace seals everything anew.
    """
    from greenfield.cli.rendered import planned_for_cluster
    from greenfield.targets.kubernetes import sealed_file
    from greenfield.targets.kubernetes.objects import unsealed
    from greenfield.targets.kubernetes.sealing import Sealed, changed, continued, is_secret, names, reseal

    planned = planned_for_cluster(options)
    plan = planned.plan
    manifests = [each.manifest for each in unsealed(plan, planned.catalogue) if is_secret(each.manifest)]
    given = _given(values, {name for manifest in manifests for name in names(manifest)})
    fingerprint, encrypt = _encrypting(certificate)
    file = sealed_file.place(plan.root, plan.environment)
    kept = continued(sealed_file.read(file), Sealed(plan.name, scope, fingerprint, note))
    sealed = reseal(manifests, kept, given, encrypt)
    sealed_file.write(file, sealed)
    count, now = sum(map(len, sealed.values.values())), changed(kept, sealed)
    if options.json:
        emit_json({"file": str(file), "certificate": fingerprint, "scope": scope, "values": count, "sealed_now": now})
    else:
        say(f"{file}: {count} values, {now} of them sealed now")


@secrets.command()
@with_options
@click.option("--key", "keys", metavar="FILE", multiple=True, required=True, help="The controller's; - reads stdin.")
@click.argument("names", metavar="[NAME]...", nargs=-1)
def unseal(options: Options, keys: tuple[str, ...], names: tuple[str, ...]) -> None:
    """Open what is sealed, with the private keys of the cluster's controller. By default all of it.

    A key is PEM, or a Secret as `kubectl get secret -o yaml` shows it. What is opened goes to stdout and nowhere else.
    """
    from greenfield.cli.rendered import planned_for_cluster
    from greenfield.targets.kubernetes import sealed_file
    from greenfield.targets.kubernetes.unsealing import opened

    plan = planned_for_cluster(options).plan
    file = sealed_file.place(plan.root, plan.environment)
    sealed = sealed_file.read(file)
    if sealed is None:
        raise UnsealedError(f"Nothing is sealed: there is no {file}.", hint="greenfield secrets seal")
    try:
        values = opened(sealed.only(_chosen(names, sealed)), _decrypting(keys))
    except ValueError as exc:
        raise UnsealedError(f"{file}: {exc}.", hint=_KEYS) from exc
    rows = [{"name": name, "secret": holder, "value": value} for (holder, name), value in values.items()]
    if options.json:
        emit_json({"secrets": rows})
    else:
        emit(aligned([("NAME", "HELD BY", "VALUE"), *((r["name"], r["secret"], r["value"]) for r in rows)]))


@secrets.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@with_options
def rotate(options: Options, names: tuple[str, ...]) -> None:
    """Give services new passwords on the running platform, without losing a request. By default all of them.

    The old password holds until the service runs with the new one, and no longer.
    """
    from greenfield.cli.lifecycle import up
    from greenfield.cli.prepared import Compiled, paths_of, running
    from greenfield.model.local import SecretClaim
    from greenfield.targets.local import secrets
    from greenfield.targets.local.site import claims_of

    paths = paths_of(options)
    running(paths)

    def renew(wanted: Compiled) -> None:
        claims = claims_of(wanted.plan, wanted.catalogue)
        held = {claim.name: claim for claim in claims if isinstance(claim, SecretClaim) and claim.holder}
        if unknown := sorted(set(names) - held.keys()):
            raise ArgumentError(
                f"no service has a password {unknown[0]!r}", hint=f"there are {', '.join(sorted(held)) or 'none'}"
            )
        chosen = [held[name] for name in names or sorted(held)]
        secrets.rotate(paths.secrets, paths.versions, chosen)
        say(f"rotated: {', '.join(claim.name for claim in chosen) or 'nothing, since no service has a password'}")

    up(options, detach=True, first_of_all=renew)


def _encrypting(certificate: str) -> tuple[str, Callable[[bytes, Place], str]]:
    """The fingerprint of a certificate in a file, and what seals for it; ArgumentError where it is none."""
    from greenfield.targets.kubernetes.sealing import encrypting

    try:
        return encrypting(Path(certificate).read_bytes())
    except OSError as exc:
        raise ArgumentError(f"{certificate} cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise ArgumentError(f"{certificate} is no certificate to seal for: {exc}", hint=_FETCH) from exc


def _chosen(names: Collection[str], sealed: Sealed) -> Collection[str]:
    """These, or all; ArgumentError where one is not among them."""
    known = {name for values in sealed.values.values() for name in values}
    if unknown := sorted(set(names) - known):
        raise ArgumentError(f"no {unknown[0]!r} is sealed", hint=f"there are {', '.join(sorted(known)) or 'none'}")
    return names or known


def _decrypting(keys: Iterable[str]) -> Callable[[str, Place], str]:
    """What opens sealed values with the keys in these files; ArgumentError where one holds none."""
    from greenfield.targets.kubernetes.unsealing import decrypting

    try:
        return decrypting(sys.stdin.buffer.read() if key == "-" else Path(key).read_bytes() for key in keys)
    except OSError as exc:
        raise ArgumentError(f"{exc.filename} cannot be read: {exc.strerror}") from exc
    except (ValueError, TypeError) as exc:  # TypeError: a key that is encrypted itself
        raise ArgumentError(f"--key is no key to open with: {exc}", hint=_KEYS) from exc


_KEYS = (
    "`kubectl get secret -n kube-system -l sealedsecrets.bitnami.com/sealed-secrets-key -o yaml` "
    "shows the keys of a cluster"
)
_FETCH = "`kubeseal --fetch-cert` gets it from a cluster"


def _given(values: Iterable[str], known: set[str]) -> dict[str, str]:
    """The secrets that somebody brings, by name."""
    found: dict[str, str] = {}
    for value in values:
        name, separator, source = value.partition("=")
        if not separator or name not in known:
            raise ArgumentError(
                f"--value {value!r} names no secret of this platform",
                hint=f"write NAME=FILE; there are {', '.join(sorted(known)) or 'none'}",
            )
        try:
            found[name] = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
        except (OSError, UnicodeError) as exc:
            raise ArgumentError(f"{source} cannot be read: {exc}") from exc
        found[name] = found[name].removesuffix("\n")
        if not found[name]:
            raise ArgumentError(f"{source} is empty, and {name} is to be a secret")
    return found
