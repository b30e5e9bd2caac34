"""Verifies what auditors took out of a FedStudy log, without the portal: standard library and `cryptography` only.

Written apart from the portal's code on purpose, after RFC 9162 and C2SP's documents: it does not share its faults.
"""
