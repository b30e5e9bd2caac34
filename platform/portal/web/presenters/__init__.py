"""What pages show, as plain frozen values: templates decide nothing and query nothing."""
