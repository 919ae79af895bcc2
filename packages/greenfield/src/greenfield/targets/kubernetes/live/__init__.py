"""What talks to a cluster: only ``diff`` and ``deploy`` import it, since its client takes half a second to load.

Every answer of the API server that is no success becomes a ``Refusal`` in ``api``, and words for people in
``refusals``: nowhere else is one looked into. What decides (readiness, owned fields, what is pruned) is pure.
"""
