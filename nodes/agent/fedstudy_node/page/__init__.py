"""The node's own page: what waits for the hospital's people, and where they sign with a passkey.

It is served by the agent on the hospital's network and fetches nothing from the portal while somebody reads it.
"""
