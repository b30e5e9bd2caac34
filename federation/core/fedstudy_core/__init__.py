"""What the portal and the nodes of FedStudy share: statements, signatures, bundles, dictionaries, checks."""
