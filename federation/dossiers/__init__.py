"""The dossier of a run: one signed set of files that says what was planned, approved, done and found, and proves it.

It is an RO-Crate (Workflow Run Crate) with a document for people, verified by `fedstudy-verify` without the portal.
"""
