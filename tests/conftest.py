"""What every test may use. PostgreSQL and Valkey are started by `devstack.pytest_plugin`."""
