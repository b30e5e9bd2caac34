"""A script tried on this machine: built and looked through as the portal does it, and run as at several sites.

Needs fedstudy-core and fedstudy-node (`fedstudy-client[dry-run]`): the code is the one that runs at portal and node.
The rest of the client imports nothing of this.
"""
