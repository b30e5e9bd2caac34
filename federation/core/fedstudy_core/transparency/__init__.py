"""The transparency log: a Merkle tree of leaves, signed checkpoints, and proofs that anybody can check."""
