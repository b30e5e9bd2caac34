"""The signed documents by which sites share rows with a pool node: consent, key, object, revocation, deletion."""
