"""The FedStudy agent that a hospital installs."""

