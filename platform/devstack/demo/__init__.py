"""`make demo`: a whole federated study on this machine, played through the public API only."""
