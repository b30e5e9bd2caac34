"""The FedStudy agent that a hospital installs."""

__version__ = "0.1.0"
