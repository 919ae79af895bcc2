"""Proof that the running platform is what the file says: verify, explain.

It knows the plan and the site; what a grant means is each component's own ``proofs``.
"""
