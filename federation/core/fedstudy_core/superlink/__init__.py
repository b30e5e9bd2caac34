"""Flower's SuperLink as FedStudy runs it: `python -m fedstudy_core.superlink`, with the words of `flower-superlink`."""
