"""Everything FedStudy needs around it, started on this machine: for the demo, the tests and the bench."""
